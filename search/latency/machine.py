"""Description of the machine behind a measured time: its processor and the versions of the libraries."""

from __future__ import annotations

import importlib
import importlib.metadata
import os

import torch

from search.latency.kit.measure import processor
from search.latency.targets import Target


def describe_machine(target: Target) -> dict[str, str]:
    """Processor and library versions that times on ``target`` hold for."""
    if target.device == "cuda":
        return {"processor": torch.cuda.get_device_name(), "torch": torch.__version__, "cuda": torch.version.cuda or ""}
    libraries = {"onnx": ("torch", "onnxruntime"), "torch": ("torch",)}[target.runtime]
    versions = {name: _version(name) for name in libraries}
    return {"processor": f"{processor()}, {os.cpu_count()} cores", **versions}


def difference(old: dict[str, str], new: dict[str, str]) -> str:
    """The first thing in which two descriptions differ, as ``"torch 2.11.0, now 2.12.0"``; empty where they agree."""
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            return f"{name} {old.get(name, 'none')}, now {new.get(name, 'none')}"
    return ""


def _version(library: str) -> str:
    """Its version, also where it was installed by another name, as ``onnxruntime-gpu``."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return importlib.import_module(library).__version__

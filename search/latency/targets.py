"""Latency targets: runtime, device, and number of threads or images, as one name."""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass
from typing import Literal

import torch

from reid.errors import UserError, nearest

EXAMPLES = ("onnx-cpu-1t", "torch-cpu-1t", "torch-cuda-b1", "torch-cuda-b32")

_NAME = re.compile(r"(?P<runtime>onnx|torch)-cpu-(?P<threads>[1-9][0-9]{0,2})t|torch-cuda-b(?P<batch>[1-9][0-9]{0,4})")


@dataclass(frozen=True)
class Target:
    """Where latency is measured. A network's latency is the time of one call, a batch of ``batch`` float32 images.

    Attributes:
        runtime: ``onnx`` is ONNX Runtime with its default optimisations, ``torch`` is eager mode, channels-last.
        device: ``cpu`` or ``cuda``.
        threads: of one operator; operators run one after the other. 1 on CUDA, where it has no effect.
        batch: images in a call; 1 on a CPU.
    """

    runtime: Literal["onnx", "torch"]
    device: Literal["cpu", "cuda"]
    threads: int = 1
    batch: int = 1

    @property
    def name(self) -> str:
        """What ``parse_target`` reads."""
        size = f"b{self.batch}" if self.device == "cuda" else f"{self.threads}t"
        return f"{self.runtime}-{self.device}-{size}"


def is_local(name: str) -> bool:
    """Whether ``parse_target`` knows the name; other names belong to other machines."""
    return _NAME.fullmatch(str(name).strip().lower()) is not None


def parse_target(name: str) -> Target:
    """The target called ``name``: ``onnx-cpu-<threads>t``, ``torch-cpu-<threads>t`` or ``torch-cuda-b<batch>``.

    Raises:
        UserError: it is none of these.
    """
    match = _NAME.fullmatch(str(name).strip().lower())
    if match is None:
        known = "onnx-cpu-<threads>t, torch-cpu-<threads>t, torch-cuda-b<batch>"
        raise UserError(f"latency target '{name}' is unknown{nearest(str(name), EXAMPLES)}; known: {known}")
    if match["batch"]:
        return Target("torch", "cuda", batch=int(match["batch"]))
    return Target(match["runtime"], "cpu", threads=int(match["threads"]))


def check_available(target: Target) -> None:
    """Raises UserError where this machine cannot run ``target``; the message names what is missing."""
    if target.device == "cuda" and not torch.cuda.is_available():
        raise UserError(f"latency target {target.name} needs CUDA, which this machine does not have; use onnx-cpu-1t")
    cores = os.cpu_count() or 1
    if target.threads > cores:
        asked = f"needs {target.threads} threads, but this machine has {cores} cores"
        raise UserError(f"latency target {target.name} {asked}; use {target.runtime}-cpu-{cores}t")
    missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    if target.runtime == "onnx" and missing:
        raise UserError(f"latency target {target.name} needs {' and '.join(missing)}: pip install onnx onnxruntime")

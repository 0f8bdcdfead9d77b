"""What a measured time is said to depend on."""

from __future__ import annotations

import importlib.metadata
from types import SimpleNamespace

import pytest

from search.latency import machine
from search.latency.targets import Target


def test_a_library_that_goes_by_another_name_has_a_version(monkeypatch):
    """onnxruntime is installed as onnxruntime-gpu too."""
    known = importlib.metadata.version

    def version(name: str) -> str:
        if name == "onnxruntime":
            raise importlib.metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(machine.importlib, "import_module", lambda name: SimpleNamespace(__version__=f"{name} 9.9"))
    described = machine.describe_machine(Target("onnx", "cpu"))
    assert described["onnxruntime"] == "onnxruntime 9.9" and described["torch"] == known("torch")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"torch": "1"}, {"torch": "1"}, ""),
        ({"torch": "1"}, {"torch": "2"}, "torch 1, now 2"),
        ({}, {"torch": "2"}, "torch none, now 2"),
        ({"a": "1", "cuda": "12"}, {"a": "1"}, "cuda 12, now none"),
    ],
)
def test_the_first_difference_is_told(old, new, said):
    assert machine.difference(old, new) == said

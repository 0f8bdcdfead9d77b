"""Names of latency targets, and what they are refused for."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reid.errors import UserError
from search.latency.targets import Target, check_available, parse_target


@given(
    st.builds(Target, st.sampled_from(["onnx", "torch"]), st.just("cpu"), threads=st.integers(1, 999))
    | st.builds(Target, st.just("torch"), st.just("cuda"), batch=st.integers(1, 99999))
)
def test_names_read_back(target):
    assert parse_target(target.name) == parse_target(f" {target.name.upper()} ") == target


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("onnx-cpu", "onnx-cpu-1t"),
        ("torch-gpu-b1", "torch-cuda-b1"),
        ("onnx-cuda-b1", "torch-cuda-b1"),
        ("cpu", "known"),
    ],
)
def test_unknown_names_list_the_nearest(name, near):
    with pytest.raises(UserError, match=f"'{name}' is unknown.*{near}"):
        parse_target(name)


@pytest.mark.parametrize(
    "name", ["", "onnx-cpu-0t", "onnx-cpu-01t", "onnx-cpu--1t", "torch-cuda-b0", "onnx-cpu-1", "tflite"]
)
def test_other_names_are_refused(name):
    with pytest.raises(UserError, match="latency target"):
        parse_target(name)


def test_cuda_is_refused_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="torch-cuda-b8 needs CUDA"):
        check_available(parse_target("torch-cuda-b8"))


def test_more_threads_than_cores_are_refused(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    check_available(Target("torch", "cpu", threads=4))
    with pytest.raises(UserError, match="5 threads.*4 cores.*torch-cpu-4t"):
        check_available(Target("torch", "cpu", threads=5))


def test_missing_packages_are_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name))
    with pytest.raises(UserError, match="onnxruntime: pip install"):
        check_available(Target("onnx", "cpu"))

"""The memory of a file in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.export import peak_memory

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")


def test_a_large_weight_takes_its_bytes(tmp_path):
    """The oracle: 64 MiB of random numbers that are read take 64 MiB and a copy or two at most."""
    import numpy as np

    kinds, helper = onnx.TensorProto, onnx.helper
    numbers = np.random.default_rng(0).random((3, 16 * 2**20 // 3), dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images"], ["means"], axes=[2, 3], keepdims=0),
            helper.make_node("MatMul", ["means", "weight"], ["out"]),
            helper.make_node("ReduceMax", ["out"], ["embedding"], axes=[1], keepdims=1),
        ],
        "large",
        [helper.make_tensor_value_info("images", kinds.FLOAT, ["batch", 3, 4, 2])],
        [helper.make_tensor_value_info("embedding", kinds.FLOAT, ["batch", 1])],
        [onnx.numpy_helper.from_array(numbers, "weight")],
    )
    path = tmp_path / "large.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    memory = peak_memory(path)
    assert 20 < memory.before < 200 and 64 < memory.added < 400


def test_a_file_that_does_not_run(tmp_path):
    (tmp_path / "text.onnx").write_text("no network")
    assert peak_memory(tmp_path / "text.onnx") is None

"""At which size ``tools/evaluate.py`` gives images to an ``.onnx`` file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluation.protocols import Protocol
from reid.errors import UserError
from tools.jobs.evaluate.subject import Subject, onnx_subject

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")


def subject_of(folder: Path, shape: list[int | str], size: tuple[int, int] | None) -> Subject:
    """Of a file whose vector is the mean of each colour, with an input of ``shape``, under a config's ``size``."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["images"], ["features"], axes=[2, 3], keepdims=0)],
        "mean",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("features", kind, ["n", 3])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "m.onnx")
    return onnx_subject(folder / "m.onnx", torch.device("cpu"), size, Protocol())


@pytest.mark.parametrize("size", [None, (80, 40)])
def test_a_file_with_a_size_keeps_it_whatever_the_configs_is(tmp_path, size):
    """As a checkpoint does: one config evaluates networks of any size."""
    assert subject_of(tmp_path, ["n", 3, 64, 32], size).input_size == (64, 32)


@pytest.mark.parametrize("shape", [["n", 3, "h", "w"], ["n", "c", "h", "w"], ["n", None, "h", "w"]])
def test_a_file_that_leaves_it_open_takes_the_configs(tmp_path, shape):
    subject = subject_of(tmp_path, shape, (80, 40))
    assert subject.input_size == (80, 40) and subject.network(torch.ones(2, 3, 5, 4)).shape == (2, 3)
    with pytest.raises(UserError, match="takes images of any size; choose one with --set input_size"):
        subject_of(tmp_path, shape, None)

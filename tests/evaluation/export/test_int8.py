"""A quantised file: what is int8 in it, what is not, and how near its embeddings stay."""

from __future__ import annotations

import dataclasses
import errno
import logging
import tempfile

import numpy as np
import pytest
import torch

from evaluation.export import FileAbout, export_network, measure_parity, open_session, quantise, random_pixels
from reid.errors import UserError
from reid.models.heads import BNNeckHead

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SIZE = (48, 24)


@pytest.fixture(scope="module")
def quantised(exported, tmp_path_factory):
    """Path and about of the int8 files, as ``exported``."""
    root, files = tmp_path_factory.mktemp("int8"), {}
    for pixels, (path, about) in exported.items():
        target = root / f"{pixels}.onnx"
        files[pixels] = target, quantise(path, target, about, random_pixels(40, SIZE, seed=5))
    return files


@pytest.mark.parametrize("pixels", [False, True], ids=["floats", "pixels"])
def test_weights_are_int8_with_a_scale_for_each_channel(exported, quantised, pixels):
    """The oracle: a weight is at most half a step of its channel's scale from the float one."""
    floats = {each.name: each for each in onnx.load(exported[pixels][0]).graph.initializer}
    model = onnx.load(quantised[pixels][0])
    values = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert convolutions
    for node in convolutions:
        assert makers[node.input[0]].op_type == makers[node.input[1]].op_type == "DequantizeLinear"
        weight, scale, zero = (values[name] for name in makers[node.input[1]].input)
        original = onnx.numpy_helper.to_array(floats[makers[node.input[1]].input[0].removesuffix("_quantized")])
        assert weight.dtype == np.int8 and abs(weight.astype(int)).max() <= 64 and not zero.any()
        assert scale.shape == (weight.shape[0],)
        step = scale.reshape(-1, 1, 1, 1)
        assert (abs(weight * step - original) <= 0.501 * step).all()


def test_what_stays_float(quantised):
    path, about = quantised[True]
    model = onnx.load(path)
    session = open_session(path)
    assert session.get_inputs()[0].type == "tensor(uint8)" and session.get_outputs()[0].type == "tensor(float)"
    quantisers = {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    inside = [node for node in model.graph.node if node.name.startswith("/normalise/")]
    # Only what the first convolution reads is quantised, after the last step of the normalisation.
    assert [node.op_type for node in inside if set(node.output) & quantisers] == ["Transpose"]
    assert about.precision == "int8"
    assert FileAbout.from_metadata(session.get_modelmeta().custom_metadata_map, path) == about


def test_layers_of_gates_and_head_are_int8_and_what_they_feed_is_not(make_network, about_of, tmp_path):
    network = make_network(se=True, act="h-swish")
    network.head = BNNeckHead(24, embedding=10).eval()
    about, path = about_of(network), tmp_path / "n.onnx"
    export_network(network, about, path, {})
    quantise(path, tmp_path / "int8.onnx", about, random_pixels(8, SIZE))
    nodes = onnx.load(tmp_path / "int8.onnx").graph.node
    made = {output: node for node in nodes for output in node.output}
    layers = [node for node in nodes if node.op_type in ("Conv", "Gemm", "MatMul")]
    assert {"fc1", "fc2", "embed"} <= {node.name.split("/")[-2] for node in layers}
    for node in layers:
        assert made[node.input[0]].op_type == made[node.input[1]].op_type == "DequantizeLinear"
    stay = ("GlobalAveragePool", "HardSigmoid", "HardSwish", "BatchNormalization")
    assert {node.op_type for node in nodes} >= set(stay)
    for node in nodes:  # nothing that one of these gives is quantised again but as the input of a layer
        if node.op_type == "QuantizeLinear" and (maker := made.get(node.input[0])) and maker.op_type in stay:
            (told,) = [each for each in nodes if node.output[0] in each.input]
            assert all(each.op_type in ("Conv", "MatMul", "Gemm") for each in nodes if told.output[0] in each.input)


def test_embeddings_stay_near(network, exported, quantised):
    images = random_pixels(16, SIZE, seed=6)
    for pixels, (path, about) in quantised.items():
        parity = measure_parity(network, open_session(path), images, about)
        assert 0.98 < parity.least_cosine < 0.999999 and parity.mean_cosine > 0.99
        assert path.stat().st_size != exported[pixels][0].stat().st_size


def test_ranges_are_those_of_the_images(exported, tmp_path):
    """Calibrated on black images, bright ones are cut off."""
    path, about = exported[False]
    quantise(path, tmp_path / "black.onnx", about, torch.zeros(4, *SIZE, 3, dtype=torch.uint8))
    model = onnx.load(tmp_path / "black.onnx")
    values = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    (node,) = [node for node in model.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "images"]
    # Black is -mean / std, -2.118 at the least; ranges always hold 0.
    assert float(values[node.input[1]]) * 255 == pytest.approx(0.485 / 0.229, rel=1e-3)


def test_a_file_that_cannot_be_quantised(exported, tmp_path):
    before = logging.root.manager.disable
    path, about = exported[False]
    wrong = dataclasses.replace(about, pixels=True)  # feeds uint8 to a file of floats
    with pytest.raises(UserError, match=r"Small cannot be quantised \(.*\); leave --int8 out") as error:
        quantise(path, tmp_path / "n.onnx", wrong, random_pixels(2, SIZE))
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())
    assert logging.root.manager.disable == before


@pytest.mark.parametrize("begun", [False, True], ids=["of temporary files", "of the file"])
def test_a_full_disk_is_no_fault_of_the_graph(exported, tmp_path, monkeypatch, begun):
    """And the disk that is told of is the one that is full."""

    def full(model, path, *arguments, **named):
        if begun:
            open(path, "w").close()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("onnxruntime.quantization.quantize_static", full)
    path, about = exported[False]
    with pytest.raises(OSError) as error:
        quantise(path, tmp_path / "n.onnx", about, random_pixels(2, SIZE))
    where = tmp_path / "n.onnx" if begun else tempfile.gettempdir()
    assert error.value.filename == str(where) and not list(tmp_path.iterdir())

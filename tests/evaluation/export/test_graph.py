"""An exported file gives what the network gives in PyTorch, and none is left that does not."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import evaluation.export.graph as graph
from evaluation.export import OPSET, FileAbout, export_network, open_session, random_pixels
from evaluation.export.graph import FromPixels
from reid.data.prepare import prepare
from reid.errors import UserError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SIZE = (48, 24)


@pytest.mark.parametrize("pixels", [False, True], ids=["floats", "pixels"])
def test_any_batch_gives_pytorchs_embeddings(network, exported, pixels):
    path, _ = exported[pixels]
    session, images = open_session(path), random_pixels(7, SIZE, seed=3)
    for count in (1, 2, 7):
        prepared = prepare(images[:count], SIZE)
        feed = images[:count] if pixels else prepared
        (found,) = session.run(["embedding"], {"images": np.ascontiguousarray(feed.numpy())})
        with torch.no_grad():
            expected = network(prepared)
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("changes", [{"se": True}, {"ibn": True}, {"act": "h-swish"}], ids=["se", "ibn", "h-swish"])
def test_every_kind_of_block(make_network, about_of, tmp_path, changes):
    network = make_network(**changes)
    found = export_network(network, about_of(network), tmp_path / "n.onnx", {"random": random_pixels(3, SIZE)})
    assert found["random"].images == 3 and found["random"].difference < 1e-4 < found["random"].largest


def test_inside_the_graph_pixels_are_prepared_exactly():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(2, -1, -1, 3)
    assert torch.equal(FromPixels(nn.Identity())(levels), prepare(levels, (16, 16)))


def test_what_is_written(network, exported):
    for pixels, (path, about) in exported.items():
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        assert [each.version for each in model.opset_import if not each.domain] == [OPSET]
        (told,), (given,) = open_session(path).get_inputs(), open_session(path).get_outputs()
        assert (told.name, told.shape[0], given.name, given.shape) == ("images", "batch", "embedding", ["batch", 24])
        assert told.shape[1:] == ([48, 24, 3] if pixels else [3, 48, 24])
        assert told.type == ("tensor(uint8)" if pixels else "tensor(float)")
        assert FileAbout.from_metadata({each.key: each.value for each in model.metadata_props}, path) == about
        assert "BatchNormalization" not in [node.op_type for node in model.graph.node if "backbone" in node.name]


def test_the_network_is_left_as_it_is(network, about_of, tmp_path):
    before = copy.deepcopy(network.state_dict())
    export_network(network, about_of(network), tmp_path / "n.onnx", {})
    assert before.keys() == network.state_dict().keys() and not network.training
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())


@pytest.mark.parametrize("factor", [1.01, float("nan")])
def test_a_file_that_differs_is_not_left(network, about_of, tmp_path, monkeypatch, factor):
    fold = graph.fold_batch_norm

    def wrong(module: nn.Module) -> nn.Module:
        module = fold(module)
        module.head.neck.bias.data += factor
        return module

    monkeypatch.setattr(graph, "fold_batch_norm", wrong)
    with pytest.raises(
        UserError, match="Small on random images: .*differ from PyTorch's: .*nothing was written"
    ) as error:
        export_network(network, about_of(network), tmp_path / "n.onnx", {"random": random_pixels(2, SIZE)})
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


def test_a_layer_that_the_exporter_does_not_know(network, about_of, tmp_path):
    class Strange(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(images).mean((2, 3))

    with pytest.raises(UserError, match=r"Small cannot be exported \(.*bessel.*\)") as error:
        export_network(Strange(), about_of(network), tmp_path / "n.onnx", {})
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())

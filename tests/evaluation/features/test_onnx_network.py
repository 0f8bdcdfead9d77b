"""A network through an ``.onnx`` file gives what it gives in PyTorch."""

from __future__ import annotations

import builtins
import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from evaluation.features.extraction import evaluate_network, extract_features
from evaluation.features.onnx_network import OnnxNetwork
from reid.data.records import ImageSet
from reid.errors import UserError

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

SIZE = (32, 16)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 8, 5, stride=2), nn.BatchNorm2d(8)
        self.last = nn.Linear(8 * 14 * 6, 16)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.bn(self.conv(images)).relu().flatten(1))


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    network = Network()
    network.bn.running_mean.uniform_(-0.5, 0.5)
    return network.eval()


@pytest.fixture(scope="module")
def export(network, tmp_path_factory):
    def write(batch: int | None, module: nn.Module = network, channels: int = 3):
        path = tmp_path_factory.mktemp("onnx") / "network.onnx"
        axes = None if batch else {"images": {0: "batch"}, "features": {0: "batch"}}
        names = {"input_names": ["images"], "output_names": ["features"], "dynamic_axes": axes}
        torch.onnx.export(module, (torch.zeros(batch or 2, channels, *SIZE),), path, dynamo=False, **names)
        return path

    return write


def random_images(count: int, seed: int) -> ImageSet:
    random = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 40, 20, 3), dtype=torch.uint8, generator=random)
    return ImageSet(pixels, torch.arange(count) % 5 + 1, torch.full((count,), seed))


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.parametrize("batch", [None, 4, 1], ids=["dynamic", "fixed", "one"])
def test_features_and_score_are_the_networks(network, export, batch):
    other = OnnxNetwork(export(batch))
    assert other.input_size == SIZE and other.providers == ("CPUExecutionProvider",)
    query, gallery = random_images(7, 1), random_images(18, 2)
    for flip in (False, True):
        expected = extract_features(network, gallery, SIZE, "cpu", flip=flip)
        found = extract_features(other, gallery, SIZE, "cpu", batch_size=10, flip=flip)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert evaluate_network(other, query, gallery, SIZE, "cpu") == evaluate_network(
        network, query, gallery, SIZE, "cpu"
    )


def test_a_file_that_normalises_itself_gets_the_pixels(network, tmp_path):
    """Images of another size than the network's: what is resized, and rounded, before is what the file must see."""

    class FromPixels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]))
            self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]))

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self.network(((pixels / 255 - self.mean) / self.std).permute(0, 3, 1, 2))

    axes = {"images": {0: "batch"}, "features": {0: "batch"}}
    names = {"input_names": ["images"], "output_names": ["features"], "dynamic_axes": axes}
    path, example = tmp_path / "pixels.onnx", torch.zeros(2, *SIZE, 3, dtype=torch.uint8)
    torch.onnx.export(FromPixels().eval(), (example,), path, dynamo=False, **names)
    other = OnnxNetwork(path)
    assert other.takes_pixels and other.input_size == SIZE and other.metadata == {}
    for flip in (False, True):
        expected = extract_features(network, random_images(9, 3), SIZE, "cpu", flip=flip)
        found = extract_features(other, random_images(9, 3), SIZE, "cpu", batch_size=4, flip=flip)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(UserError, match="cannot run 2 images of 12x6"):
        other(torch.zeros(2, 3, 12, 6))


def test_any_size_and_half_precision(tmp_path):
    """A file may leave height and width open, and may take float16."""
    helper, kinds = onnx.helper, onnx.TensorProto
    shape = ["n", 3, "h", "w"]
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["images"], ["features"], axes=[2, 3], keepdims=0)],
        "mean",
        [helper.make_tensor_value_info("images", kinds.FLOAT16, shape)],
        [helper.make_tensor_value_info("features", kinds.FLOAT16, ["n", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "mean.onnx")
    network = OnnxNetwork(tmp_path / "mean.onnx")
    images = torch.rand(3, 3, 10, 6)
    assert network.input_size is None
    features = network(images)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, images.mean(dim=(2, 3)), atol=2e-3, rtol=0)


def test_a_size_that_the_network_cannot_run_is_named(tmp_path):
    """Height and width are left open, but a layer wants 2 x 3 x 10 x 6 numbers."""
    helper, kinds = onnx.helper, onnx.TensorProto
    shape = onnx.numpy_helper.from_array(np.array([2, 180], dtype=np.int64), "shape")
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["images", "shape"], ["features"])],
        "flat",
        [helper.make_tensor_value_info("images", kinds.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("features", kinds.FLOAT, ["n", 180])],
        [shape],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "f.onnx")
    network = OnnxNetwork(tmp_path / "f.onnx")
    assert network(torch.zeros(2, 3, 10, 6)).shape == (2, 180)
    with pytest.raises(UserError, match=r"f.onnx cannot run 2 images of 12x6 \(.*\); give the size") as error:
        network(torch.zeros(2, 3, 12, 6))
    assert "\n" not in str(error.value)


def test_failures_of_the_runtime_itself(export, monkeypatch):
    """One that says nothing is told by its class; one for want of memory has nothing to do with the size."""
    network = OnnxNetwork(export(None))

    def fails(error: Exception) -> None:
        def run(*_) -> None:
            raise error

        monkeypatch.setattr(network, "_session", SimpleNamespace(run=run))
        network(torch.zeros(2, 3, *SIZE))

    with pytest.raises(UserError, match=r"cannot run 2 images of 32x16 \(RuntimeError\); give"):
        fails(RuntimeError())
    with pytest.raises(MemoryError):
        fails(MemoryError())


def test_digest_tells_of_weights_beside_the_file(export, tmp_path):
    """Two networks of one structure whose weights lie in a file of their own are the same ``.onnx`` file."""
    path = export(None)
    assert OnnxNetwork(path).digest == hashlib.sha256(path.read_bytes()).hexdigest()
    files, digests = [], []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model, beside = onnx.load(export(None, Network().eval())), tmp_path / f"{seed}" / "network.onnx"
        beside.parent.mkdir()
        onnx.save(model, beside, save_as_external_data=True, location="weights.bin", size_threshold=0)
        files.append(beside.read_bytes())
        digests.append(OnnxNetwork(beside).digest)
    assert files[0] == files[1] and digests[0] != digests[1]


def test_unusable_files_are_named(export, tmp_path):
    with pytest.raises(UserError, match="none.onnx does not exist"):
        OnnxNetwork(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(
        UserError, match=r"text.onnx cannot be opened as an ONNX network \(.*\); export it again"
    ) as error:
        OnnxNetwork(tmp_path / "text.onnx")
    assert "\n" not in str(error.value)
    gray = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten())
    with pytest.raises(UserError, match=r"must have one input \(batch, 3, height, width\).*images"):
        OnnxNetwork(export(None, gray, channels=1))
    flat = OnnxNetwork(export(None, nn.Conv2d(3, 4, 3)))
    with pytest.raises(UserError, match="for 2 images instead of .images, features."):
        extract_features(flat, random_images(2, 1), SIZE, "cpu")


def test_onnxruntime_is_not_installed(export, monkeypatch):
    path, real = export(None), builtins.__import__

    def without(name, *arguments, **named):
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match="needs onnxruntime: pip install onnxruntime"):
        OnnxNetwork(path)

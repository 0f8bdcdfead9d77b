"""Vectors of crops are those of an evaluation, whatever names the network and however the crops lie in memory."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from evaluation.embedder import Embedder
from evaluation.features.extraction import extract_features
from reid.data.cache import load_images
from reid.data.records import ImageRecord
from reid.engine.runs.checkpoint import save_weights
from reid.errors import UserError
from supernet.catalog import spec_to_dict
from supernet.files import load_space
from supernet.supernet import Supernet
from supernet.trained.checkpoint import load_network, save_supernet
from supernet.trained.zoo import ZooEntry, write_index

CPU = torch.device("cpu")
SIZES = ((80, 33), (64, 32), (31, 70), (1, 1), (200, 90))


@pytest.fixture(scope="module")
def run(small_run) -> Path:
    return small_run


@pytest.fixture(scope="module")
def zoo(run, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("zoo")
    weights = shutil.copy(run / "last.safetensors", folder / "Small-0.1M.safetensors")
    entry = ZooEntry(
        name="Small-0.1M", weights=weights.name, sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
        arch=None, input_size=(64, 32), feature_dim=16, flops=1, flops_mlr=1, parameters=1, mAP=0, rank1=0,
        flip_mAP=None, flip_rank1=None, protocol="", train_set="", epochs=0, seed=0, licence="", command="", commit="",
    )  # fmt: skip
    write_index([entry], folder)
    return folder


@pytest.fixture(scope="module")
def embedder(run) -> Embedder:
    return Embedder.open(run)


@pytest.fixture(scope="module")
def crops() -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES]


def test_the_vectors_are_those_of_an_evaluation(run, embedder, crops, tmp_path):
    """From image files through the cache of decoded images, which is what every score is of."""
    records = []
    for number, crop in enumerate(crops):
        Image.fromarray(crop).save(tmp_path / f"{number}.png")
        records.append(ImageRecord(str(tmp_path / f"{number}.png"), number, 0))
    images = load_images(records, tmp_path / "cache", (64, 32), progress=False)
    features = extract_features(load_network(run / "last.safetensors", CPU)[0], images, (64, 32), CPU)
    expected = features / features.norm(dim=1, keepdim=True)
    vectors = embedder(crops)
    assert vectors.shape == (5, 16) and vectors.dtype == np.float32 and embedder.feature_dim == 16
    torch.testing.assert_close(torch.from_numpy(vectors), expected, rtol=0, atol=1e-6)
    assert np.ptp(vectors @ vectors.T) > 0.01, "vectors that are all alike would show nothing"


def test_however_crops_lie_in_memory_and_are_batched(run, embedder, crops):
    expected = embedder(crops)
    np.testing.assert_allclose(Embedder.open(run, batch_size=2)(crops), expected, atol=1e-6)
    np.testing.assert_allclose(embedder([crop[:, :, ::-1] for crop in crops], bgr=True), expected, atol=1e-6)
    assert np.abs(embedder(crops, bgr=True) - expected).max() > 0.01
    for crop in (frozen := [crop.copy() for crop in crops]):
        crop.flags.writeable = False
    np.testing.assert_allclose(embedder(frozen), expected, atol=1e-6)
    mirrored = embedder([crop[:, ::-1] for crop in crops])
    np.testing.assert_allclose(mirrored, embedder([crop[:, ::-1].copy() for crop in crops]), atol=1e-6)
    stack = np.stack([crops[1], crops[1][::-1]])
    np.testing.assert_allclose(embedder(stack), embedder(list(stack)), atol=1e-6)
    assert embedder([]).shape == embedder(stack[:0]).shape == (0, 16)


def test_every_source_is_the_same_network(run, embedder, crops, zoo):
    expected = embedder(crops)
    for source in (str(run), run / "last.safetensors", "Small-0.1M", "small-0.1m"):
        opened = Embedder.open(source, zoo=zoo)
        np.testing.assert_array_equal(opened(crops), expected)
        assert not opened.network.training and not any(each.requires_grad for each in opened.network.parameters())


@pytest.mark.parametrize("pixels", [False, True])
def test_an_exported_file_is_the_same_network(run, embedder, crops, tmp_path, pixels):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from evaluation.export import FileAbout, export_network, random_pixels

    network = load_network(run / "last.safetensors", CPU)[0].eval()
    file = tmp_path / "small.onnx"
    export_network(
        network, FileAbout("Small", (64, 32), 16, 1, 1, "", pixels), file, {"random": random_pixels(4, (64, 32))}
    )
    opened = Embedder.open(file)
    assert opened.input_size == (64, 32) and opened.feature_dim == 16
    np.testing.assert_allclose(opened(crops), embedder(crops), atol=1e-5)
    assert opened([]).shape == (0, 16)
    with pytest.raises(UserError, match="takes images of 64x32, not 48x24"):
        Embedder.open(file, input_size=(48, 24))


def test_boxes_of_a_frame(embedder):
    frame = np.random.default_rng(1).integers(0, 256, (100, 160, 3), dtype=np.uint8)
    rgb = frame[:, :, ::-1]
    boxes = np.array([[10.4, 20.6, 40.4, 89.5], [-30, -8, 20, 60], [150, 90, 900, 900], [0, 0, 160, 100]], np.float32)
    cut = [rgb[21:90, 10:40], rgb[0:60, 0:20], rgb[90:100, 150:160], rgb]
    expected = embedder(cut)
    np.testing.assert_allclose(embedder.get_features(boxes, frame), expected, atol=1e-6)
    np.testing.assert_allclose(embedder.get_features(boxes[0].tolist(), frame), expected[:1], atol=1e-6)
    for nothing in (np.zeros((0, 4)), np.array([]), []):
        assert embedder.get_features(nothing, frame).shape == (0, 16)


def test_a_box_without_area_is_a_black_image(embedder):
    frame = np.full((100, 160, 3), 200, np.uint8)
    black = embedder([np.zeros((5, 5, 3), np.uint8)])[0]
    boxes = [[5, 5, 5, 50], [30, 60, 20, 90], [200, 0, 300, 50], [-9, -9, -1, -1], [10, 10, 10.3, 60], [10, 10, 40, 90]]
    vectors = embedder.get_features(np.array(boxes), frame)
    np.testing.assert_allclose(vectors[:5], np.tile(black, (5, 1)), atol=1e-6)
    assert np.abs(vectors[5] - black).max() > 0.01
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    vectors[0] = 0  # what a caller does with its vectors stays there
    np.testing.assert_allclose(embedder.get_features(np.array(boxes[:1]), frame)[0], black, atol=1e-6)


def test_a_vector_of_zeros_stays_one(crops):
    class Zeros(nn.Module):
        def forward(self, images):
            return images.new_zeros(len(images), 7)

    vectors = Embedder(Zeros(), (8, 4))(crops)
    assert vectors.shape == (5, 7) and not vectors.any()


def test_vectors_that_are_not_finite_are_refused(run, crops, tmp_path):
    """They would be saved, and be like nobody, without a word."""

    class Blown(nn.Module):
        def forward(self, images):
            brightest = images.flatten(1).amax(1, keepdim=True)
            return torch.where(brightest > 0, brightest * torch.inf, 1.0)

    with pytest.raises(UserError, match="^the network computes vectors that contain NaN or infinite values"):
        Embedder(Blown(), (8, 4))(crops)
    network, spec = load_network(run / "last.safetensors", CPU)
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] = torch.nan
    save_weights(tmp_path / "last.safetensors", network, spec_to_dict(spec))
    with pytest.raises(UserError, match=r"last.safetensors contains NaN or infinite weights \(backbone"):
        Embedder.open(tmp_path)


def test_a_single_crop_wants_a_list(embedder, crops):
    with pytest.raises(UserError, match=r"crops must be a list of arrays.*; for a single one, give \[crop\]"):
        embedder(crops[0])


@pytest.mark.parametrize(
    ("crop", "message"),
    [
        (
            np.zeros((4, 4, 3), np.float32),
            r"crop 1 must be a uint8 array \(height, width, 3\), but is float32 \(4, 4, 3\)",
        ),
        (np.zeros((4, 4), np.uint8), r"crop 1 must be .*, but is uint8 \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), "crop 1 must be "),
        ("a.jpg", "crop 1 must be .*, but is str"),
        (np.zeros((0, 4, 3), np.uint8), "crop 1 has no pixels"),
    ],
)
def test_crops_that_are_none(embedder, crops, crop, message):
    with pytest.raises(UserError, match=message):
        embedder([crops[0], crop])


@pytest.mark.parametrize(
    ("boxes", "frame", "message"),
    [
        (np.zeros((2, 5)), np.zeros((9, 9, 3), np.uint8), r"boxes must have shape \(N, 4\).*but have \(2, 5\)"),
        (
            [[0, 0, 1, 1], [0, np.nan, 1, 1]],
            np.zeros((9, 9, 3), np.uint8),
            "box 1 has a coordinate that is NaN or infinite",
        ),
        ([[0, 0, 1, 1]], np.zeros((9, 9), np.uint8), "the frame must be a uint8 array"),
        ([[0, 0, 1, 1]], np.zeros((9, 9, 3)), "the frame must be a uint8 array"),
    ],
)
def test_boxes_and_frames_that_are_none(embedder, boxes, frame, message):
    with pytest.raises(UserError, match=message):
        embedder.get_features(boxes, frame)


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_of_no_crops_is_refused(run, size):
    with pytest.raises(UserError, match=f"^batch_size {size}: must be at least 1"):
        Embedder.open(run, batch_size=size)


def test_its_own_size_may_be_named_as_any_pair(run):
    for size in ((64, 32), [64, 32]):
        assert Embedder.open(run, input_size=size).input_size == (64, 32)


def test_sources_that_are_none(run, zoo, tmp_path):
    with pytest.raises(UserError, match="nearest: Small-0.1M"):
        Embedder.open("Smal-0.1M", zoo=zoo)
    with pytest.raises(UserError, match="saved features are not a network"):
        Embedder.open(tmp_path / "a.npz")
    with pytest.raises(UserError, match="takes images of 64x32; leave input_size out"):
        Embedder.open(run, input_size=(128, 64))
    with pytest.raises(UserError, match="device tpu"):
        Embedder.open(run, device="tpu")
    file = save_supernet(tmp_path / "supernet.safetensors", Supernet(load_space("tiny").at((64, 32))))
    with pytest.raises(UserError, match="of kind 'supernet' is not a network"):
        Embedder.open(file)

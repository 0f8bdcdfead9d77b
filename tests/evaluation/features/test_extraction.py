from __future__ import annotations

import pytest
import torch
from torch import nn

from evaluation.features.extraction import evaluate_network, extract_features
from evaluation.retrieval.distances import METRICS
from reid.data.prepare import pixels_of, prepare
from reid.data.records import ImageSet
from reid.errors import UserError

SIZE = (12, 8)


def random_images(count: int, seed: int = 0) -> ImageSet:
    random = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 16, 10, 3), dtype=torch.uint8, generator=random)
    return ImageSet(pixels, torch.arange(count) + 1, torch.ones(count, dtype=torch.int64))


class Network(nn.Module):
    """Batch norm and dropout show the mode; a full-size kernel makes the feature depend on where a pixel is."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, SIZE)
        self.bn = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.drop(self.bn(self.conv(images))).flatten(1)


@pytest.fixture
def network() -> Network:
    random = torch.Generator().manual_seed(1)
    network = Network()
    with torch.no_grad():
        for tensor in (*network.parameters(), network.bn.running_mean):
            tensor.copy_(torch.randn(tensor.shape, generator=random))
    return network


def plain(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    network.eval()
    with torch.no_grad():
        return network(images)


@pytest.mark.parametrize("batch_size", [1, 3, 256])
def test_features_are_the_eval_outputs_in_order(network, batch_size):
    images = random_images(7)
    features = extract_features(network, images, SIZE, "cpu", batch_size=batch_size)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, plain(network, prepare(images.images, SIZE)), rtol=1e-4, atol=1e-5)


def test_flip_is_the_mean_with_the_mirror_image(network):
    images = random_images(5)
    prepared = prepare(images.images, SIZE)
    expected = (plain(network, prepared) + plain(network, prepared.flip(3))) / 2
    torch.testing.assert_close(
        extract_features(network, images, SIZE, "cpu", flip=True), expected, rtol=1e-4, atol=1e-5
    )


def test_modes_and_buffers_stay_as_they_were(network):
    network.train()
    network.bn.eval()  # a frozen batch norm must stay frozen
    mean = network.bn.running_mean.clone()
    extract_features(network, random_images(4), SIZE, "cpu")
    assert (network.training, network.drop.training, network.bn.training) == (True, True, False)
    assert torch.equal(network.bn.running_mean, mean)


def test_features_may_be_trained_on(network):
    features = extract_features(network, random_images(4), SIZE, "cpu")
    nn.Linear(features.shape[1], 1)(features).sum().backward()


def test_modes_are_restored_after_an_error(network):
    network.train()
    network.bn = nn.Linear(3, 1)  # fits no feature map
    with pytest.raises(RuntimeError):
        extract_features(network, random_images(4), SIZE, "cpu")
    assert network.training and network.drop.training


def test_bf16_is_near_fp32_and_returned_as_float32(network):
    images = random_images(4)
    half = extract_features(network, images, SIZE, "cpu", precision="bf16")
    full = extract_features(network, images, SIZE, "cpu")
    assert half.dtype == torch.float32
    assert 0 < (half - full).abs().max() < 0.05 * full.abs().max()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"precision": "fp8"}, "precision 'fp8' is unknown"),
        ({"images": random_images(0)}, "image set is empty"),
        ({"network": nn.Conv2d(3, 2, 3)}, "must return a matrix of shape .images, features."),
    ],
)
def test_unusable_input_is_named(network, change, message):
    arguments = {"network": network, "images": random_images(2), "size": SIZE, "device": "cpu"} | change
    with pytest.raises(UserError, match=message):
        extract_features(**arguments)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_gallery_of_noisy_copies_scores_one(network, metric):
    query = random_images(9)
    noise = torch.randint(0, 4, query.images.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    copies = (query.images // 2 * 2).clamp(max=250) + noise
    gallery = ImageSet(copies, query.pids, torch.full((9,), 2))
    score = evaluate_network(network, query, gallery, SIZE, "cpu", metric=metric)
    assert (score.mAP, score.rank1, score.queries) == (1, 1, 9)
    swapped = ImageSet(copies, query.pids.roll(1), gallery.camids)
    assert evaluate_network(network, query, swapped, SIZE, "cpu", metric=metric).rank1 == 0


@pytest.mark.parametrize("camera", [0, 1])
def test_the_readers_labels_and_the_metric_reach_the_score(camera):
    """Camera 0 is not known there, so that nothing is passed over; the metric decides which of two is nearer."""
    pixels = torch.tensor([[100, 0], [110, 40], [250, 10]], dtype=torch.uint8)[:, None, :, None].repeat(1, 2, 1, 3)

    def side(part, pids, camids):
        return ImageSet(pixels[part], torch.tensor(pids), torch.tensor(camids))

    class Pixels(nn.Module):
        def forward(self, images):
            return pixels_of(images)[:, 0, :, 0].float()

    query, gallery = side(slice(0, 1), [7], [camera]), side(slice(1, 3), [8, 7], [camera, 2 * camera])
    ranks = [evaluate_network(Pixels(), query, gallery, (2, 2), "cpu", metric=each).rank1 for each in METRICS]
    assert METRICS == ("cosine", "euclidean") and ranks == [1, 0]

"""What is kept is found again, and anything that features depend on makes another file."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from evaluation.features.cache import cached_features, network_fingerprint
from evaluation.features.extraction import extract_features
from reid.data.records import ImageSet

SIZE = (12, 8)


class Network(nn.Module):
    """Counts how often it is run."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(SIZE[0] * SIZE[1] * 3, 4)
        self.runs = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        return self.layer(images.flatten(1))


def random_images(seed: int = 0) -> ImageSet:
    random = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (6, 16, 10, 3), dtype=torch.uint8, generator=random)
    return ImageSet(pixels, torch.arange(6) + 1, torch.ones(6, dtype=torch.int64))


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network()


def test_the_second_time_the_network_rests(network, tmp_path):
    first = cached_features(tmp_path, "weights", network, random_images(), SIZE, "cpu")
    assert network.runs == 1 and torch.equal(first, extract_features(network, random_images(), SIZE, "cpu"))
    network.forward = None
    assert torch.equal(cached_features(tmp_path, "weights", network, random_images(), SIZE, "cpu"), first)


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": "other weights"},
        {"images": random_images(1)},
        {"images": replace(random_images(), images=random_images().images.view(6, 10, 16, 3))},  # the same numbers
        {"size": (8, 12)},
        {"flip": True},
        {"precision": "bf16"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_input_is_computed_anew(network, tmp_path, change):
    arguments = {"fingerprint": "weights", "network": network, "images": random_images(), "size": SIZE}
    cached_features(tmp_path, device="cpu", **arguments)
    runs = network.runs
    changed = {**arguments, **change}
    features = cached_features(tmp_path, device="cpu", **changed)
    assert network.runs > runs
    del changed["fingerprint"]
    assert torch.equal(features, extract_features(device="cpu", **changed))


@pytest.mark.parametrize("damage", [lambda data: data[:-5], lambda data: b"", lambda data: b"PK" + data])
def test_damaged_file_is_made_again(network, tmp_path, damage):
    first = cached_features(tmp_path, "weights", network, random_images(), SIZE, "cpu")
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert torch.equal(cached_features(tmp_path, "weights", network, random_images(), SIZE, "cpu"), first)
    assert path.read_bytes() == whole and list(tmp_path.iterdir()) == [path]


def test_fingerprint_tells_networks_apart(network):
    own = network_fingerprint(network, {"stride": 1})
    assert own == network_fingerprint(network, {"stride": 1})
    assert own != network_fingerprint(network, {"stride": 2})
    about = {"stride": 1, "kernel": 3}
    assert network_fingerprint(network, about) == network_fingerprint(network, dict(reversed(about.items())))
    wide, high = nn.Linear(2, 3, bias=False), nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        wide.weight.copy_(torch.arange(6).view(3, 2))
        high.weight.copy_(torch.arange(6).view(2, 3))
    assert network_fingerprint(wide, {}) != network_fingerprint(high, {}), "the same numbers in another shape"
    with torch.no_grad():
        network.layer.bias[0] += 1e-6
    assert own != network_fingerprint(network, {"stride": 1})
    network.layer.register_buffer("mean", torch.tensor(3, dtype=torch.int64))  # BN's counters have no dimension
    assert own != network_fingerprint(network, {"stride": 1})

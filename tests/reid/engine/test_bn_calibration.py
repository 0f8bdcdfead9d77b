"""BN calibration against the batches' own statistics."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reid.data.augment import AugmentConfig, augment
from reid.data.prepare import prepare
from reid.engine.bn_calibration import calibrate, calibration_images, calibration_indices
from reid.engine.seeds import step_seed
from reid.errors import UserError


@pytest.fixture
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, bias=False),
            nn.BatchNorm2d(8, momentum=0.3),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.5),  # statistics are those of inference, without dropout
            nn.BatchNorm1d(16),
        )


def _batches(sizes) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, 3, 16, 8, generator=generator) * (1 + n) + n for n in sizes]


def test_statistics_are_the_mean_of_the_batches_own(network):
    batches = _batches((2, 5, 3))
    with torch.no_grad():
        maps = [network[0](batch).transpose(0, 1).flatten(1) for batch in batches]
        vectors = [network.train()[:6](batch) for batch in batches]
    weights = {name: parameter.clone() for name, parameter in network.named_parameters()}
    network[1].running_mean.fill_(torch.nan)  # what was there before does not count

    assert calibrate(network, iter(batches)) is network
    torch.testing.assert_close(network[1].running_mean, torch.stack([m.mean(1) for m in maps]).mean(0))
    torch.testing.assert_close(network[1].running_var, torch.stack([m.var(1, unbiased=True) for m in maps]).mean(0))
    torch.testing.assert_close(network[7].running_mean, torch.stack([v.mean(0) for v in vectors]).mean(0))
    torch.testing.assert_close(network[7].running_var, torch.stack([v.var(0) for v in vectors]).mean(0))
    assert not any(layer.training for layer in network.modules())
    assert (network[1].momentum, network[7].momentum) == (0.3, 0.1)
    assert all(torch.equal(weights[name], parameter) for name, parameter in network.named_parameters())
    assert all(parameter.grad is None for parameter in network.parameters())


class _NormAndDrop(nn.BatchNorm2d):
    """As timm's ``BatchNormAct2d``, which may hold a dropout."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.drop = nn.Dropout(0.9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(super().forward(x))


def test_dropout_within_a_norm_is_off_too():
    network = nn.Sequential(_NormAndDrop(3), nn.BatchNorm2d(3))
    calibrate(network, _batches((4,)))
    torch.testing.assert_close(network[1].running_var, torch.ones(3), rtol=0.01, atol=0)  # ten times as much with it


def test_an_exception_leaves_no_trace_but_in_the_statistics(network):
    def batches():
        yield from _batches((3,))
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        calibrate(network, batches())
    assert not any(layer.training for layer in network.modules())
    assert (network[1].momentum, network[7].momentum) == (0.3, 0.1)
    network.train()(_batches((4,))[0])
    assert network[1].momentum == 0.3, "no hook is left that would change it"


def test_without_images_nothing_is_measured(network):
    network[1].running_mean += 9
    with pytest.raises(UserError, match="no images"):
        calibrate(network, [])
    assert (network[1].running_mean == 9).all()
    assert calibrate(network[0], []) is network[0], "without BN there is nothing to measure"


def test_fixed_layers_keep_their_statistics(network):
    before = {key: value.clone() for key, value in network[7].state_dict().items()}
    calibrate(network, _batches((4, 3)), fixed=[network[7]])
    assert all(torch.equal(before[key], value) for key, value in network[7].state_dict().items())
    assert network[1].running_mean.any()


@pytest.mark.parametrize(
    ("count", "sizes"), [(130, [44, 43, 43]), (64, [64]), (3, [3]), (65, [33, 32]), (300, [50] * 4), (2, [2])]
)
def test_images_are_shared_out_evenly(count, sizes):
    drawn = calibration_indices(count, 200, 64, seed=0)
    assert [len(batch) for batch in drawn] == sizes and len(torch.cat(drawn).unique()) == sum(sizes)


def test_images_are_drawn_by_the_seed():
    drawn = [torch.cat(calibration_indices(1000, 200, 64, seed)) for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    # Of all images alike: the mean index is 499.5, five standard deviations of it are 92.
    assert all(abs(float(each.float().mean()) - 499.5) < 92 for each in drawn)


def test_no_batch_has_one_image_alone():
    assert [[len(batch) for batch in calibration_indices(count, 200, 2, seed=0)] for count in (3, 5)] == [[3], [3, 2]]


@pytest.fixture
def pixels():
    return torch.randint(0, 256, (30, 32, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_images_are_augmented_as_in_a_step(pixels):
    """Each batch is a function of seed and number, by which no epoch's step is augmented: these begin with 1."""
    config = AugmentConfig(pad=4)
    given = list(calibration_images(pixels, (32, 16), config, most=24, batch=8, seed=3))
    for number, (batch, index) in enumerate(zip(given, calibration_indices(30, 24, 8, seed=3), strict=True)):
        generator = torch.Generator().manual_seed(step_seed(3, 0, number))
        assert torch.equal(batch, augment(pixels[index], (32, 16), config, generator))
        assert not torch.equal(batch, prepare(pixels[index], (32, 16)))
    erased = [(batch == 0).all(dim=1).any(dim=(1, 2)) for batch in given]  # 0 is what an erased pixel is, and no other
    assert 0 < torch.cat(erased).sum() < 24


def test_a_recipe_that_changes_nothing_gives_the_images_as_they_are(pixels):
    still = AugmentConfig(flip=0, pad=0, erase=0)
    (batch,) = calibration_images(pixels, (16, 8), still, most=30, batch=64, seed=0)
    (index,) = calibration_indices(30, 30, 64, seed=0)
    assert torch.equal(batch, prepare(pixels[index], (16, 8)))


def test_calibrated_on_one_batch_eval_equals_train(network):
    """One batch's own statistics: eval mode then gives what train mode gives, but for Bessel's correction."""
    (images,) = _batches((48,))
    with torch.no_grad():
        network.train()[6].eval()
        trained = network(images)
        evaluated = calibrate(network, [images])(images)
    assert F.cosine_similarity(trained, evaluated).min() > 0.999


def test_average_is_torchs_own_cumulative_one(network):
    """Bit by bit what ``momentum=None`` gives, of a layer that two places share too."""
    shared = nn.Sequential(network[0], network[1], nn.ReLU(), nn.Conv2d(8, 8, 1), network[1])
    expected = copy.deepcopy(shared)
    expected[1].reset_running_stats()
    expected[1].momentum = None
    for batch in _batches((4, 3, 5)):
        with torch.no_grad():
            expected.train()(batch)
    calibrate(shared, _batches((4, 3, 5)))
    assert torch.equal(shared[1].running_mean, expected[1].running_mean)
    assert torch.equal(shared[1].running_var, expected[1].running_var)
    assert not shared[1]._forward_pre_hooks

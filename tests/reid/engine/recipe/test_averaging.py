"""EMA against its recursion, SWA against the mean of the snapshots, both resumed anywhere."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from reid.config import build_config
from reid.engine.bn_calibration import calibrate
from reid.engine.recipe.averaging import AveragingConfig, WeightAverage, ema_decay
from reid.engine.runs.checkpoint import load_state, save_state
from reid.errors import UserError

CPU = torch.device("cpu")


def _network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    return network.to(memory_format=torch.channels_last)


def _train_step(network: nn.Module, number: int) -> None:
    """Moves weights and BN's statistics by numbers of the step alone."""
    generator = torch.Generator().manual_seed(number)
    network.train()
    with torch.no_grad():
        network(torch.randn(5, 3, 4, 4, generator=generator) + number)
        for parameter in network.parameters():
            parameter += torch.randn(parameter.shape, generator=generator)


def _snapshot(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_ema_is_the_recursion():
    """e_0 = w_0; e_n+1 = d e_n + (1 - d) w_n+1 with d = min(decay, (1 + n) / (10 + n)); statistics too."""
    network = _network()
    average = WeightAverage(network, AveragingConfig("ema", decay=0.3))
    expected = {name: value.double() for name, value in network.state_dict().items()}
    assert not average.started
    for number in range(8):
        _train_step(network, number)
        average.after_step(network)
        average.after_epoch(network, number + 1, 8)  # an EMA has no part in epochs
        decay = min(0.3, (1 + number) / (10 + number))
        for name, value in network.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * value.double()
        for name, value in average.module.state_dict().items():
            if name.endswith("num_batches_tracked"):
                assert value == number + 1
            else:
                torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6)
    assert average.started and not average.needs_calibration


class _Calls(TorchDispatchMode):
    """Counts what is asked of torch inside."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func.overloadpacket is not torch.ops.aten.detach  # a state dict's; touches no number
        return func(*args, **kwargs or {})


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_an_update_is_as_many_calls_for_ten_layers_as_for_one(kind):
    counts = []
    for layers in (1, 10):
        network = nn.Sequential(*(nn.BatchNorm2d(4) for _ in range(layers)))
        average = WeightAverage(network, AveragingConfig(kind, start=0.0))
        with _Calls() as calls:
            average.after_step(network)
            average.after_epoch(network, 1, 1)
        counts.append(calls.count)
    assert counts[0] == counts[1] > 0


def test_a_network_without_counters():
    network = nn.Linear(2, 2)
    average = WeightAverage(network, AveragingConfig("swa", start=0.0))
    with torch.no_grad():
        network.weight += 1
    average.after_epoch(network, 1, 1)
    assert torch.equal(average.module.weight, network.weight)


@pytest.mark.parametrize(("updates", "decay"), [(0, 0.1), (8, 0.5), (80, 0.9), (8990, 0.999), (10**6, 0.999)])
def test_ema_is_short_at_first(updates, decay):
    assert ema_decay(0.999, updates) == pytest.approx(decay)


@pytest.mark.parametrize(("start", "epochs", "over"), [(0.29, 100, 29), (0.58, 50, 29), (0.75, 8, 6)])
def test_swa_begins_after_its_share_of_the_epochs(start, epochs, over):
    network = nn.Linear(2, 2)
    average = WeightAverage(network, AveragingConfig("swa", start=start))
    average.after_epoch(network, over, epochs)
    assert not average.started
    average.after_epoch(network, over + 1, epochs)
    assert average.started


@pytest.mark.parametrize(("start", "first"), [(0.0, 1), (0.5, 5), (0.75, 7), (0.7, 6), (0.99, 8)])
def test_swa_is_the_mean_of_the_last_epochs(start, first):
    network, snapshots = _network(), []
    average = WeightAverage(network, AveragingConfig("swa", start=start))
    for epoch in range(1, 9):
        for number in (2 * epoch, 2 * epoch + 1):
            _train_step(network, number)
            average.after_step(network)  # an SWA has no part in steps
        average.after_epoch(network, epoch, 8)
        snapshots.append(_snapshot(network))
        assert average.started == (epoch >= first)
    counted = snapshots[first - 1 :]
    for name, _ in network.named_parameters():
        mean = torch.stack([snapshot[name].double() for snapshot in counted]).mean(0)
        torch.testing.assert_close(average.module.state_dict()[name].double(), mean, rtol=1e-5, atol=1e-6)
    assert average.needs_calibration


def test_swa_is_calibrated_as_a_network_of_the_mean_weights_would_be():
    network = _network()
    average = WeightAverage(network, AveragingConfig("swa", start=0.0))
    for epoch in (1, 2, 3):
        _train_step(network, epoch)
        average.after_epoch(network, epoch, 3)
    batches = [torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(n)) for n in range(2)]
    calibrate(average.module, batches)
    mean_weights = _network()
    with torch.no_grad():
        for own, averaged in zip(mean_weights.parameters(), average.module.parameters(), strict=True):
            own.copy_(averaged)
    calibrate(mean_weights, batches)
    assert torch.equal(average.module(batches[0]), mean_weights(batches[0]))
    # What calibration wrote into the copy does not enter the next average.
    other = copy.deepcopy(average)
    other.module[1].running_mean += 5
    for one in (average, other):
        one.after_epoch(network, 4, 4)
    assert all(torch.equal(value, other.module.state_dict()[n]) for n, value in average.module.state_dict().items())


@pytest.mark.parametrize("config", [AveragingConfig("ema", decay=0.9), AveragingConfig("swa", start=0.25)])
@pytest.mark.parametrize("done", [0, 1, 3])
def test_resumed_equals_unbroken(config, done, tmp_path):
    def epochs(network, average, numbers):
        for epoch in numbers:
            _train_step(network, epoch)
            average.after_step(network)
            average.after_epoch(network, epoch, 6)

    network = _network()
    average = WeightAverage(network, config)
    epochs(network, average, range(1, done + 1))
    save_state(tmp_path / "s.pt", {"network": network.state_dict(), "average": average.state()})
    epochs(network, average, range(done + 1, 7))

    state, again = load_state(tmp_path / "s.pt"), _network()
    resumed = WeightAverage(again, config)
    again.load_state_dict(state["network"])
    resumed.load_state(state["average"])
    assert resumed.started == (done > 0 and (config.kind == "ema" or done > 1))
    epochs(again, resumed, range(done + 1, 7))
    assert all(torch.equal(value, resumed.module.state_dict()[n]) for n, value in average.module.state_dict().items())


def test_the_copy_is_apart_and_for_evaluation():
    network = _network().train()
    average = WeightAverage(network, AveragingConfig("ema"))
    before = _snapshot(network)
    with torch.no_grad():
        average.module[0].weight.fill_(7.0)
    assert torch.equal(network[0].weight, before["0.weight"]) and network.training
    assert not average.module.training and not any(p.requires_grad for p in average.module.parameters())
    assert average.module[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert average.module.state_dict().keys() == network.state_dict().keys()


def test_it_follows_the_network_that_it_is_shown():
    """Its tensors are looked up once, but not of another network."""
    first, second = _network(), _network()
    average = WeightAverage(first, AveragingConfig("ema", decay=0.5))
    average.after_step(first)
    with torch.no_grad():
        second[0].weight.add_(9.0)
    before = average.module[0].weight.clone()
    average.after_step(second)
    share = 1 - ema_decay(0.5, 1)
    torch.testing.assert_close(average.module[0].weight, before + share * (second[0].weight - before))


def test_state_of_another_network():
    average = WeightAverage(nn.Linear(2, 3), AveragingConfig("ema"))
    with pytest.raises(RuntimeError, match="size mismatch"):
        average.load_state(WeightAverage(nn.Linear(2, 4), AveragingConfig("ema")).state())


def test_refuses():
    with pytest.raises(UserError, match="decay"):
        build_config(AveragingConfig, {"kind": "ema", "decay": 1.0}, "test")
    with pytest.raises(ValueError, match="nothing to average"):
        WeightAverage(nn.Linear(2, 2), AveragingConfig())

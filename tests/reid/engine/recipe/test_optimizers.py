"""Optimizers: each step against its formula, the groups' rates and weight decay, and parts that are fixed."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from reid.config import build_config
from reid.engine.recipe.optimizers import (
    GROUPS,
    GroupEpochs,
    GroupRates,
    OptimizerConfig,
    build_optimizer,
    freeze,
    frozen_groups,
    group_of,
    set_rate,
)
from reid.engine.runs.checkpoint import load_state, save_state
from reid.errors import UserError


class _Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 6), nn.BatchNorm1d(6))
        self.head[3].bias.requires_grad_(False)

    def forward(self, images):
        return self.head(self.backbone(images))


class _Task(nn.Module):
    """The names of a task's parts, as ``IdentityTask`` has them."""

    def __init__(self) -> None:
        super().__init__()
        self.network = _Network()
        self.classifiers = nn.ModuleList([nn.Linear(6, 5, bias=False)])

    def loss(self, images, labels):
        return nn.functional.cross_entropy(self.classifiers[0](self.network(images)), labels)


@pytest.fixture
def task() -> _Task:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return _Task()


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(10, 3, 8, 4, generator=generator), torch.arange(5).repeat(2)


def _step(task, optimizer, batch) -> None:
    optimizer.zero_grad()
    with torch.random.fork_rng():
        torch.manual_seed(2)  # dropout
        task.loss(*batch).backward()
    optimizer.step()


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("network.backbone.stem.conv.weight", "backbone"),
        ("network.head.neck.weight", "head"),
        ("network.backbone.head.weight", "backbone"),  # a backbone may call a layer of its own a head
        ("supernet.stages.0.1.bn_dw.weight", "backbone"),
        ("supernet.head.embed.weight", "head"),
        ("supernet.header.weight", "backbone"),
        ("classifiers.0.weight", "classifier"),
        ("classifier.weight", "classifier"),
        ("losses.proxies", "classifier"),
    ],
)
def test_group_of(name, group):
    assert group_of(name) == group


def test_every_trainable_parameter_is_in_one_group(task):
    optimizer = build_optimizer(task, OptimizerConfig(decay_norm_and_bias=False))
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    trainable = {name: p for name, p in task.named_parameters() if p.requires_grad}
    assert len(held) == len(set(held)) and set(held) == {id(p) for p in trainable.values()}
    names = {id(p): name for name, p in trainable.items()}
    for group in optimizer.param_groups:
        assert all(group_of(names[id(p)]) == group["group"] for p in group["params"])


def test_sgd_step_is_that_of_the_formula(task, batch):
    """Two steps: v = 0.8 v + (g + decay w), w -= rate * factor * (g + decay w + 0.8 v), Nesterov's form."""
    config = OptimizerConfig(
        lr=0.1, weight_decay=0.3, momentum=0.8, decay_norm_and_bias=False, rates=GroupRates(0.5, 2.0, 3.0)
    )
    undecayed = {"backbone.0.bias", "backbone.1.weight", "backbone.1.bias", "head.2.bias", "head.3.weight"}
    undecayed = {f"network.{name}" for name in undecayed}
    optimizer = build_optimizer(task, config)
    velocity = {name: torch.zeros_like(p) for name, p in task.named_parameters()}
    for rate in (0.1, 0.04):
        before = {name: p.detach().clone() for name, p in task.named_parameters()}
        set_rate(optimizer, rate)
        _step(task, optimizer, batch)
        for name, parameter in task.named_parameters():
            if not parameter.requires_grad:
                assert torch.equal(parameter, before[name])
                continue
            factor = {"backbone": 0.5, "head": 2.0, "classifier": 3.0}[group_of(name)]
            g = parameter.grad + (0.0 if name in undecayed else 0.3) * before[name]
            velocity[name] = 0.8 * velocity[name] + g
            torch.testing.assert_close(parameter.detach(), before[name] - rate * factor * (g + 0.8 * velocity[name]))


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("adam", lambda p: torch.optim.Adam(p, lr=0.02, weight_decay=0.1, fused=True)),
        ("amsgrad", lambda p: torch.optim.Adam(p, lr=0.02, weight_decay=0.1, amsgrad=True, fused=True)),
        ("adamw", lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.1, fused=True)),
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.02, weight_decay=0.1, momentum=0.9, nesterov=True, fused=True)),
    ],
)
def test_without_factors_it_is_torchs_own(task, batch, name, oracle):
    """With weight decay on everything and all factors 1 the groups make no difference."""
    other = copy.deepcopy(task)
    optimizer = build_optimizer(task, OptimizerConfig(name, lr=0.02, weight_decay=0.1))
    trained = [p for n, p in other.named_parameters() if p.requires_grad]
    expected = oracle(trained)
    for rate in (0.02, 0.02, 0.5, 0.02):  # a long step, after which AMSGrad's greatest second moment matters
        set_rate(optimizer, rate)
        expected.param_groups[0]["lr"] = rate
        _step(task, optimizer, batch)
        _step(other, expected, batch)
    for key, value in task.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_channels_last_weights_are_stepped_like_others(name):
    """The fused kernels go through memory: gradients must lie there as their parameters do."""
    layers = [nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 6, 1), nn.Conv2d(6, 4, 3)]
    torch.manual_seed(0)
    ours = nn.Sequential(*layers)
    theirs = copy.deepcopy(ours)
    ours.to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 12, 9)
    optimizer = build_optimizer(ours, OptimizerConfig(name, lr=0.01))
    kind = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[name]
    own = {"momentum": 0.9, "nesterov": True} if name == "sgd" else {}
    expected = kind(theirs.parameters(), lr=0.01, weight_decay=5e-4, fused=False, **own)
    for _ in range(3):
        for network, step in ((ours, optimizer), (theirs, expected)):
            network.zero_grad()
            network(images.contiguous(memory_format=torch.channels_last)).square().sum().backward()
            step.step()
    for value, wanted in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(value, wanted, rtol=1e-4, atol=1e-5)


def test_a_bias_is_not_decayed_whatever_its_shape():
    layer = nn.LayerNorm((4, 2))
    optimizer = build_optimizer(nn.Sequential(layer), OptimizerConfig(weight_decay=0.3, decay_norm_and_bias=False))
    decays = {id(each): group["weight_decay"] for group in optimizer.param_groups for each in group["params"]}
    assert decays == {id(layer.weight): 0.3, id(layer.bias): 0.0}


def test_a_parameter_may_get_its_first_gradient_after_others(task, batch):
    """As the transforms of kernels that a supernet does not draw at first."""
    late, soon = (task.classifiers[0].weight, task.network.head[2].weight)
    optimizer = build_optimizer(task, OptimizerConfig(lr=0.1, momentum=0.5, nesterov=False, weight_decay=0.0))
    start = late.detach().clone(), soon.detach().clone()
    for step in range(3):
        late.grad = torch.ones_like(late) if step else None
        soon.grad = torch.ones_like(soon)
        optimizer.step()
    torch.testing.assert_close(late.detach(), start[0] - 0.1 * (1 + 1.5))
    torch.testing.assert_close(soon.detach(), start[1] - 0.1 * (1 + 1.5 + 1.75))


def test_no_nesterov_without_momentum(task, batch):
    before = task.classifiers[0].weight.detach().clone()
    optimizer = build_optimizer(task, OptimizerConfig(lr=0.1, momentum=0.0, weight_decay=0.0))
    assert not optimizer.state  # no memory for velocities either
    _step(task, optimizer, batch)
    torch.testing.assert_close(task.classifiers[0].weight.detach(), before - 0.1 * task.classifiers[0].weight.grad)
    assert isinstance(optimizer, torch.optim.SGD)


def test_fixed_backbone_stays_bit_by_bit(task, batch):
    config = OptimizerConfig(rates=GroupRates(backbone=0))
    optimizer = build_optimizer(task, config)
    before = copy.deepcopy(task.state_dict())
    for epoch in (1, 2):
        task.train()
        freeze(task, optimizer, frozen_groups(config, epoch))
        set_rate(optimizer, 0.1)
        _step(task, optimizer, batch)
    after = task.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not any(name.startswith("network.backbone") for name in moved)
    assert {"network.head.2.weight", "network.head.3.running_mean", "classifiers.0.weight"} <= moved
    modes = {name: module.training for name, module in task.named_modules()}
    assert not any(modes[f"network.backbone{layer}"] for layer in ("", ".0", ".1", ".2", ".3"))
    assert modes[""] and modes["network"] and modes["network.head.3"] and modes["classifiers.0"]
    assert modes["network.head.0"]  # no parameters, as dropout has none
    assert all(p.grad is None for p in task.network.backbone.parameters())


def test_fixed_classifier_leaves_the_task_in_training(task):
    config = OptimizerConfig(rates=GroupRates(classifier=0))
    task.train()
    freeze(task, build_optimizer(task, config), frozen_groups(config, 1))
    assert task.training and task.network.training and not task.classifiers[0].training


def test_staged_fine_tuning(task, batch):
    config = OptimizerConfig(freeze_epochs=GroupEpochs(backbone=2, head=1))
    assert [sorted(frozen_groups(config, epoch)) for epoch in (1, 2, 3)] == [["backbone", "head"], ["backbone"], []]
    optimizer = build_optimizer(task, config)
    learns = {group: [] for group in GROUPS}
    for epoch in (1, 2, 3):
        task.train()
        freeze(task, optimizer, frozen_groups(config, epoch))
        before = {name: p.detach().clone() for name, p in task.named_parameters()}
        _step(task, optimizer, batch)
        moved = {group_of(name) for name, p in task.named_parameters() if not torch.equal(p, before[name])}
        for group in GROUPS:
            learns[group].append(group in moved)
    assert learns == {"backbone": [False, False, True], "head": [False, True, True], "classifier": [True] * 3}
    assert not task.network.head[3].bias.requires_grad  # what never learned is not set learning


@pytest.mark.parametrize("name", ["sgd", "amsgrad", "adamw"])
def test_resumed_equals_unbroken(task, batch, name, tmp_path):
    """Saved while the backbone is still fixed: it has no state yet, and gets it after the resumption."""
    config = OptimizerConfig(name, lr=0.01, rates=GroupRates(backbone=0.1), freeze_epochs=GroupEpochs(backbone=2))

    def epochs(task, optimizer, numbers):
        for epoch in numbers:
            task.train()
            freeze(task, optimizer, frozen_groups(config, epoch))
            set_rate(optimizer, 0.01 / epoch)
            _step(task, optimizer, batch)

    optimizer, resumed = build_optimizer(task, config), copy.deepcopy(task)
    epochs(task, optimizer, (1, 2))
    save_state(tmp_path / "s.pt", {"task": task.state_dict(), "optimizer": optimizer.state_dict()})
    epochs(task, optimizer, (3, 4))

    state = load_state(tmp_path / "s.pt")
    resumed.load_state_dict(state["task"])
    optimizer = build_optimizer(resumed, config)
    optimizer.load_state_dict(state["optimizer"])
    epochs(resumed, optimizer, (3, 4))
    assert all(torch.equal(value, resumed.state_dict()[key]) for key, value in task.state_dict().items())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"rates": {"backbon": 0.1}}, "unknown key 'rates.backbon'; nearest: backbone"),
        ({"rates": {"head": -1}}, "rates.head"),
        ({"lr": float("inf")}, "lr"),
        ({"momentum": 1.0}, "momentum: .*less than 1"),
        ({"name": "amsgradd"}, "amsgrad"),
        ({"rates": {"backbone": 0, "head": 0, "classifier": 0}}, "every part is fixed"),
        ({"rates": {"backbone": 0}, "freeze_epochs": {"head": 1, "classifier": 1}}, "every part is fixed"),
    ],
)
def test_refuses(data, message):
    with pytest.raises(UserError, match=message) as caught:
        build_config(OptimizerConfig, data, "test")
    assert "\n" not in str(caught.value)

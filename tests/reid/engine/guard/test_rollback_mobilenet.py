"""The guard on a real network: rates far too high, from which a small MobileNetV2 recovers."""

from __future__ import annotations

import json
import math

import pytest
import torch

from reid.data.augment import AugmentConfig
from reid.data.records import ImageSet
from reid.engine.batches import training_batches
from reid.engine.doctor import facts_of
from reid.engine.guard.rollback import ROLLBACKS
from reid.engine.machine.device import seeded
from reid.engine.recipe import LossConfig, OptimizerConfig, Recipe
from reid.engine.recipe.divergence import GuardConfig
from reid.engine.runs.run_folder import read_metrics
from reid.engine.tasks.identity_task import IdentityTask
from reid.engine.trainer import fit
from reid.errors import UserError
from supernet.files import arch_from_rows
from supernet.network import build_network


@pytest.fixture
def train_mobilenet(cpu, tmp_path):
    """Trains on twelve colours under noise at a rate, with a guard; at 0.05 the same learns without one."""
    arch = arch_from_rows(
        ((1, 8, 1, 1), (4, 12, 2, 2), (4, 16, 2, 2), (4, 24, 1, 1)), input_size=(32, 16), stem=8, last_width=48
    )
    generator = torch.Generator().manual_seed(0)
    pids = torch.arange(12).repeat_interleave(16)
    colours = torch.randint(20, 200, (12, 3), generator=generator)
    noise = torch.randint(0, 55, (len(pids), 32, 16, 3), generator=generator)
    images = ImageSet((colours[pids][:, None, None] + noise).to(torch.uint8), pids, torch.ones_like(pids))

    def train(run: str, lr: float, guard: GuardConfig) -> list[dict]:
        recipe = Recipe(
            epochs=16,
            identities=4,
            instances=4,
            optimizer=OptimizerConfig(lr=lr),
            augment=AugmentConfig(flip=0.0, pad=0, erase=0.0),
            losses=LossConfig(triplet={"selection": "semi_hard"}),
            guard=guard,
        )
        batches = training_batches(images, recipe, (32, 16), 0, cpu)
        (tmp_path / run).mkdir()
        with seeded(0):
            task = IdentityTask(build_network(arch), batches.classes, recipe.losses)
        fit(task, batches, recipe, tmp_path / run, cpu, facts=facts_of(recipe, pids, batches.per_epoch))
        return read_metrics(tmp_path / run)

    return train


def test_a_mobilenet_recovers_from_a_rate_two_hundred_times_too_high(train_mobilenet, tmp_path):
    last = train_mobilenet("guarded", 10.0, GuardConfig())[-1]
    assert 1 <= len(json.loads((tmp_path / "guarded" / ROLLBACKS).read_text())) <= 3
    assert last["identity_variance"] > 0.9 and last["loss_ce"] < 0.9 * math.log(12)
    (told,) = [
        each
        for each in json.loads((tmp_path / "guarded" / "doctor.json").read_text())
        if each["trouble"] == "taken back"
    ]
    assert told["severity"] == 2 and "optimizer.lr (now 10" in told["cure"]
    with pytest.raises(UserError, match="not finite"):
        train_mobilenet("unguarded", 10.0, GuardConfig(rollbacks=0, rise=None))


def test_a_mobilenet_recovers_from_a_rate_fifty_times_too_high(train_mobilenet, tmp_path):
    """Where this was measured it is dead after the first epoch, at a loss that is soon below the limit."""
    last = train_mobilenet("guarded", 2.5, GuardConfig())[-1]
    assert 1 <= len(json.loads((tmp_path / "guarded" / ROLLBACKS).read_text())) <= 3
    assert last["identity_variance"] > 0.9 and last["loss_ce"] < 0.9 * math.log(12)

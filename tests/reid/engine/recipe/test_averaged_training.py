"""Averaged weights, and everything random at once: what is kept, and that a resumed run ends with it bit by bit."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import combinations

import pytest
import torch

import reid.engine.batches as batches_module
from reid.data.augment import AugmentConfig
from reid.engine.bn_calibration import calibrate
from reid.engine.machine.device import seeded
from reid.engine.recipe import LossConfig, OptimizerConfig
from reid.engine.recipe.averaging import AveragingConfig, ema_decay
from reid.engine.runs.run_folder import read_metrics
from reid.engine.tasks.identity_task import IdentityTask
from reid.engine.tasks.teacher import Teacher
from reid.engine.trainer import Monitor, fit
from reid.models.classifiers import Classifier
from reid.models.heads import FeatureEraseConfig, HeadConfig, PartsConfig
from supernet.files import arch_from_rows
from supernet.network import build_network

CLASSES = 6
ARCH = arch_from_rows(((1, 4, 1, 1), (2, 8, 2, 2)), input_size=(32, 16), stem=4, last_width=12)
RANDOM_HEAD = HeadConfig(
    dropout=0.3,
    erase=FeatureEraseConfig(height=0.3, per_image=True),
    parts=PartsConfig(stripes=3, embedding=4, dropout=0.2, update="random", drop=2),
)
ADAM = OptimizerConfig(name="adam", lr=0.003)


@pytest.fixture
def recipe(recipe):
    return replace(recipe, epochs=4, optimizer=ADAM, augment=AugmentConfig(pad=2, erase=0.5))


def make(recipe, teacher=None) -> IdentityTask:
    with seeded(11):
        return IdentityTask(build_network(ARCH, recipe.head), CLASSES, recipe.losses, teacher)


class _Looks:
    """A monitor that keeps what it was shown, and stops the run at look number ``at`` as Ctrl-C does."""

    def __init__(self, at: int = 0) -> None:
        self.at, self.seen = at, []

    def __call__(self, task):
        if len(self.seen) + 1 == self.at:
            raise KeyboardInterrupt
        self.seen.append({name: value.clone() for name, value in task.state_dict().items()})
        with torch.no_grad():
            return {"holdout_mAP": float(task.network.eval()(torch.ones(1, 3, 32, 16)).sigmoid().mean())}


def _same(first, second) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def _records(run):
    return [
        {key: value for key, value in record.items() if key not in ("images_per_second", "peak_memory_mib")}
        for record in read_metrics(run)
    ]


CASES = {
    "dropout, erasing, random branches, EMA": {"head": RANDOM_HEAD, "averaging": AveragingConfig("ema", decay=0.9)},
    "SWA": {"head": RANDOM_HEAD, "averaging": AveragingConfig("swa", start=0.25)},
    "random triplets, center, centroid": {
        "losses": LossConfig(
            triplet={"selection": "random_negative"}, center={"weight": 0.01}, centroid={"weight": 0.1}
        ),
        "averaging": AveragingConfig("ema", decay=0.9),
    },
    "growing margin, fixed backbone": {
        "losses": LossConfig(classification={"kind": "am_softmax", "scale": 16.0, "margin_warmup": 3.0}),
        "optimizer": replace(ADAM, freeze_epochs={"backbone": 2}),
        "sampler": "random",
    },
    "teacher": {
        "head": RANDOM_HEAD,
        "losses": LossConfig(distillation={"teacher": "a/run", "logits": 1.0, "similarity": 1.0}),
        "averaging": AveragingConfig("swa", start=0.5),
    },
}  # fmt: skip


@pytest.mark.parametrize("change", CASES.values(), ids=CASES.keys())
def test_resumed_equals_unbroken(change, recipe, make_batches, cpu, tmp_path):
    """Interrupted at the end of epoch 2, gone on with and interrupted at the end of epoch 3."""
    recipe = replace(recipe, evaluate_every=1, **change)
    teacher = None
    if recipe.losses.distillation.enabled:
        with seeded(1):
            teacher = Teacher(build_network(ARCH).eval().requires_grad_(False), (Classifier(12, CLASSES),))
    looks, (whole, broken) = _Looks(), (tmp_path / "whole", tmp_path / "broken")
    whole.mkdir(), broken.mkdir()
    task = make(recipe, teacher)
    kept = fit(task, make_batches(recipe), recipe, whole, cpu, monitor=Monitor(looks))

    for look in (_Looks(2), _Looks(2)):
        with pytest.raises(KeyboardInterrupt):
            fit(make(recipe, teacher), make_batches(recipe), recipe, broken, cpu, monitor=Monitor(look))
    again, rest = make(recipe, teacher), _Looks()
    same = fit(again, make_batches(recipe), recipe, broken, cpu, monitor=Monitor(rest))

    assert _same(again.state_dict(), task.state_dict()) and _same(same.state_dict(), kept.state_dict())
    assert _records(broken) == _records(whole)
    assert len(looks.seen) == 4 and len(rest.seen) == 2
    assert all(_same(a, b) for a, b in zip(rest.seen, looks.seen[-len(rest.seen) :], strict=True))


def _steps(recipe, batches, cpu, run):
    """The weights of the task after every step of a training without averages, and those before the first."""
    recipe, seen = replace(recipe, averaging=AveragingConfig()), []
    task = make(recipe)
    backward = task.backward

    def watched(*arguments):
        seen.append({name: value.clone() for name, value in task.state_dict().items()})
        return backward(*arguments)

    task.backward = watched
    fit(task, batches, recipe, run, cpu)
    return [*seen[1:], {name: value.clone() for name, value in task.state_dict().items()}], seen[0]


def test_ema_follows_its_formula_and_is_what_is_kept(recipe, make_batches, cpu, tmp_path):
    recipe = replace(recipe, epochs=2, evaluate_every=1, averaging=AveragingConfig("ema", decay=0.6))
    batches, looks, (one, two) = make_batches(recipe), _Looks(), (tmp_path / "one", tmp_path / "two")
    one.mkdir(), two.mkdir()
    steps, average = _steps(recipe, batches, cpu, one)
    task = make(recipe)
    kept = fit(task, batches, recipe, two, cpu, monitor=Monitor(looks))
    assert _same(task.state_dict(), steps[-1])  # the average is beside the training, not in it
    for number, weights in enumerate(steps):
        share = 1 - ema_decay(0.6, number)
        for name, value in average.items():
            average[name] = value + share * (weights[name] - value) if value.is_floating_point() else weights[name]
        if number + 1 in (batches.per_epoch, 2 * batches.per_epoch):
            shown = looks.seen[(number + 1) // batches.per_epoch - 1]
            for name, value in average.items():
                torch.testing.assert_close(shown[name], value, rtol=1e-5, atol=1e-6)
    assert kept is not task and _same(kept.state_dict(), looks.seen[-1]) and not kept.training


def test_swa_is_the_mean_over_the_ends_of_epochs_with_statistics_of_its_own(recipe, make_batches, cpu, tmp_path):
    recipe = replace(recipe, epochs=4, evaluate_every=1, averaging=AveragingConfig("swa", start=0.5))
    batches, looks, (one, two) = make_batches(recipe), _Looks(), (tmp_path / "one", tmp_path / "two")
    one.mkdir(), two.mkdir()
    steps, _ = _steps(recipe, batches, cpu, one)
    ends = [steps[batches.per_epoch * epoch - 1] for epoch in (1, 2, 3, 4)]
    kept = fit(make(recipe), batches, recipe, two, cpu, monitor=Monitor(looks))
    # Before it begins the weights themselves are looked at, then the mean of those since.
    assert _same(looks.seen[0], ends[0]) and _same(looks.seen[1], ends[1])
    for shown, mean in ((looks.seen[2], ends[2:3]), (looks.seen[3], ends[2:4]), (kept.state_dict(), ends[2:4])):
        wanted = make(recipe)
        wanted.load_state_dict(
            {
                name: sum(each[name] for each in mean) / len(mean) if value.is_floating_point() else value
                for name, value in ends[3].items()
            }
        )
        calibrate(wanted.network, batches.calibration())
        for name, value in wanted.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                torch.testing.assert_close(shown[name], value, rtol=1e-4, atol=1e-5)
    running = [name for name in ends[3] if name.endswith("running_var")]
    assert running and not all(torch.allclose(ends[3][name], looks.seen[3][name], rtol=1e-3) for name in running)


def test_swa_leaves_a_part_that_is_fixed_as_it_is(recipe, make_batches, cpu, tmp_path):
    recipe = replace(
        recipe, optimizer=replace(ADAM, rates={"backbone": 0.0}), averaging=AveragingConfig("swa", start=0.5)
    )
    before = {name: value.clone() for name, value in make(recipe).state_dict().items()}
    kept = fit(make(recipe), make_batches(recipe), recipe, tmp_path, cpu).state_dict()
    backbone = [name for name in before if name.startswith("network.backbone.")]
    assert backbone and all(torch.equal(kept[name], before[name]) for name in backbone)
    neck = "network.head.neck.running_var"
    assert not torch.equal(kept[neck], before[neck])


def test_draws_of_layers_and_losses_are_not_the_augmentations(recipe, make_batches, cpu, tmp_path):
    """Flips and dropout masks that come of one stream of numbers would go together in every step."""
    batches, task, seen = make_batches(recipe), make(recipe), []

    def backward(images, labels, context):
        seen.append((torch.rand(4), torch.rand(4, generator=copy.deepcopy(context.generator))))
        loss = task.network(images).square().mean()
        context.backward(loss)
        return {"loss": loss.detach()}

    task.backward = backward
    seeds, seed_of = [], batches_module.step_seed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches_module, "step_seed", lambda *numbers: seeds.append(seed_of(*numbers)) or seeds[-1])
        fit(task, batches, replace(recipe, epochs=1), tmp_path, cpu)
    assert len(seen) == len(seeds) == batches.per_epoch
    for seed, drawn in zip(seeds, seen, strict=True):
        augmentation = torch.rand(4, generator=torch.Generator().manual_seed(seed))
        assert not any(torch.equal(a, b) for a, b in combinations((augmentation, *drawn), 2))

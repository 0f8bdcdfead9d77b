"""The loss of a batch, each term against a formula of its own."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from reid.engine.tasks.objective import identity_losses, logit_scale
from reid.losses.center import CenterLoss
from reid.losses.config import LossConfig
from reid.models.heads import BranchRule, HeadOutput

P, K, D, C = 3, 3, 5, 4
OFF = {"classification": {"weight": 0.0}, "triplet": {"weight": 0.0}}
TERMS = {
    "classification": {"weight": 0.7, "smoothing": 0.2},
    "triplet": {"weight": 1.3, "margin": 0.4},
    "circle": {"weight": 0.3, "margin": 0.25, "scale": 8.0},
    "center": {"weight": 0.05},
    "centroid": {"weight": 0.6, "margin": 0.5},
}
ALWAYS = {"loss", "loss_ce", "loss_triplet", "active_triplets", "accuracy", "distance_positive", "distance_negative"}
ALWAYS |= {"distance_gap", "embedding_spread", "feature_norm", "identity_variance"}


@pytest.fixture
def batch():
    """Features ``(9, 5)``, logits ``(9, 4)`` and labels of 3 identities of 4, in float64."""
    generator = torch.Generator().manual_seed(0)
    features, logits = (torch.randn(P * K, d, generator=generator, dtype=torch.float64) for d in (D, C))
    return features.requires_grad_(), logits.requires_grad_(), torch.tensor([3, 0, 1] * K)


@pytest.fixture
def center():
    return CenterLoss(C, D).double()


def _call(features, logits, labels, config, **more):
    output = HeadOutput(features, features)
    arguments = {"epoch": 0.0, "generator": torch.Generator().manual_seed(1)} | more
    return identity_losses(output, (logits,), labels, config, **arguments)


# The terms once more, image by image.


def _cross_entropy(logits, labels, smoothing) -> torch.Tensor:
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        log_p = row - row.exp().sum().log()
        total = total - sum((smoothing / C + (1 - smoothing) * (c == label)) * log_p[c] for c in range(C))
    return total / len(labels)


def _triplet(features, labels, margin) -> torch.Tensor:
    total = 0.0
    for i, anchor in enumerate(features):
        distances = [(anchor - other).norm() for other in features]
        positive = max(d for j, d in enumerate(distances) if labels[j] == labels[i] and j != i)
        negative = min(d for j, d in enumerate(distances) if labels[j] != labels[i])
        total = total + max(positive - negative + margin, torch.zeros(()))
    return total / len(labels)


def _circle(features, labels, margin, scale) -> torch.Tensor:
    """The value alone: the weights in it carry no gradient, so it is not compared."""
    total = 0.0
    for i in range(len(labels)):
        positive = negative = 0.0
        for j in range(len(labels)):
            s = float(F.cosine_similarity(features[i], features[j], dim=0))
            if labels[i] != labels[j]:
                negative += math.exp(scale * max(0.0, s + margin) * (s - margin))
            elif i != j:
                positive += math.exp(-scale * max(0.0, 1 + margin - s) * (s - 1 + margin))
        total += math.log(1 + negative * positive)
    return torch.tensor(total / len(labels))


def _center(features, labels, centers) -> torch.Tensor:
    squares = [((f - centers[label]) ** 2).sum() for f, label in zip(features, labels, strict=True)]
    return sum(squares) / len(labels)


def _centroid(features, labels, margin) -> torch.Tensor:
    total = 0.0
    for i, anchor in enumerate(features):
        own = [f for j, f in enumerate(features) if labels[j] == labels[i] and j != i]
        others = [
            torch.stack([f for f, label in zip(features, labels, strict=True) if label == other]).mean(0)
            for other in set(labels.tolist()) - {int(labels[i])}
        ]
        nearest = min((anchor - other).norm() for other in others)
        total = total + max((anchor - torch.stack(own).mean(0)).norm() - nearest + margin, torch.zeros(()))
    return total / len(labels)


def _formula(name, features, logits, labels, center) -> torch.Tensor:
    return {
        "classification": lambda: _cross_entropy(logits, labels, 0.2),
        "triplet": lambda: _triplet(features, labels, 0.4),
        "circle": lambda: _circle(features.detach(), labels, 0.25, 8.0),
        "center": lambda: _center(features, labels, center.centers),
        "centroid": lambda: _centroid(features, labels, 0.5),
    }[name]()


@pytest.mark.parametrize("names", [*((name,) for name in TERMS), tuple(TERMS)], ids=lambda names: "+".join(names))
def test_sum_of_the_terms(batch, center, names):
    features, logits, labels = batch
    # A center loss pulls everything into one point: it is never alone.
    chosen = {name: TERMS[name] for name in names} | ({"triplet": TERMS["triplet"]} if names == ("center",) else {})
    config = LossConfig(**(OFF | chosen))
    total, log = _call(features, logits, labels, config, center=center if "center" in chosen else None)
    each = {name: _formula(name, features, logits, labels, center) for name in chosen}
    wanted = sum(TERMS[name]["weight"] * value for name, value in each.items())
    assert total.item() == pytest.approx(wanted.item(), rel=1e-6)
    assert log["loss"].item() == total.item()
    keys = {"classification": "loss_ce"}
    for name, value in each.items():
        assert log[keys.get(name, f"loss_{name}")].item() == pytest.approx(value.item(), rel=1e-6)
    assert log.keys() == ALWAYS | {f"loss_{name}" for name in chosen if name not in ("classification", "triplet")}
    assert all(value.ndim == 0 and not value.requires_grad for value in log.values())
    if "circle" not in chosen:
        own = torch.autograd.grad(total, (features, logits), allow_unused=True)
        theirs = torch.autograd.grad(wanted, (features, logits), allow_unused=True)
        for a, b in zip(own, theirs, strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                torch.testing.assert_close(a, b)


def test_nothing_but_a_teacher(batch):
    """Every weight may be 0 where a teacher is listened to: then the sum is a 0 that others can be added to."""
    losses = LossConfig(**OFF, distillation={"teacher": "some/run", "similarity": 1.0})
    total, log = _call(*batch, losses)
    assert total.item() == 0 == log["loss"].item()
    (total + batch[0].sum()).backward()
    assert torch.equal(batch[0].grad, torch.ones_like(batch[0]))


def test_triplet_without_weight_is_logged(batch):
    features, logits, labels = batch
    one, log = _call(features, logits, labels, LossConfig())
    other, looked_at = _call(features, logits, labels, LossConfig(triplet={"weight": 0.0}))
    for key in ("loss_triplet", "active_triplets", "distance_positive", "distance_negative", "distance_gap"):
        assert looked_at[key].item() == pytest.approx(log[key].item()) and log[key].item() != 0
    assert torch.autograd.grad(other, features, allow_unused=True) == (None,)
    assert torch.autograd.grad(one, features)[0].abs().max() > 0


@pytest.mark.parametrize("kind", ["am_softmax", "circle"])
def test_margin_grows_with_the_epoch(batch, kind):
    """Against cosines taken apart by hand, at the start, in the middle, at the end of the growth and after it."""
    features, _, labels = batch
    cosines = torch.tanh(batch[1]).detach()
    config = LossConfig(
        classification={
            "kind": kind, "scale": 6.0, "margin": 0.4, "margin_start": 0.1, "margin_warmup": 4.0, "smoothing": 0.0
        },
        triplet={"weight": 0.0},
    )  # fmt: skip
    seen = []
    for epoch, margin in ((0.0, 0.1), (1.5, 0.2125), (4.0, 0.4), (9.25, 0.4)):
        wanted = 0.0
        for row, label in zip(cosines.tolist(), labels.tolist(), strict=True):
            if kind == "am_softmax":
                logits = [6.0 * (s - margin * (c == label)) for c, s in enumerate(row)]
            else:
                logits = [
                    6.0
                    * (max(0, 1 + margin - s) * (s - 1 + margin) if c == label else max(0, s + margin) * (s - margin))
                    for c, s in enumerate(row)
                ]
            wanted += math.log(sum(map(math.exp, logits))) - logits[label]
        total, _ = _call(features, cosines, labels, config, epoch=epoch)
        assert total.item() == pytest.approx(wanted / len(labels), rel=1e-6)
        seen.append(total.item())
    assert len(set(seen)) == 3 and seen[2] == seen[3]
    if kind == "am_softmax":
        assert seen[0] < seen[1] < seen[2]


# Several branches.


@pytest.fixture
def branches():
    generator = torch.Generator().manual_seed(4)
    return [torch.randn(P * K, C, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(4)]


PLAIN = LossConfig(classification={"smoothing": 0.1, "weight": 0.5}, triplet={"weight": 0.0})


def _each(branches, labels) -> list[float]:
    return [_cross_entropy(logits, labels, 0.1).item() for logits in branches]


def _branched(batch, branches, rule, seed=1):
    features, _, labels = batch
    generator = torch.Generator().manual_seed(seed)
    output = HeadOutput(features, features)
    total, log = identity_losses(output, branches, labels, PLAIN, epoch=0.0, generator=generator, rule=rule)
    return total.item(), log, [torch.autograd.grad(total, b, retain_graph=True)[0] for b in branches]


def test_mean_of_the_branches(batch, branches):
    total, log, _ = _branched(batch, branches, BranchRule())
    each = _each(branches, batch[2])
    assert total == pytest.approx(0.5 * sum(each) / 4) and log["loss_ce"].item() == pytest.approx(sum(each) / 4)
    guessed = (branches[0].argmax(1) == batch[2]).double().mean()
    assert log["accuracy"].item() == pytest.approx(guessed.item())  # of the first branch


@pytest.mark.parametrize("kind", ["linear", "am_softmax"])
def test_accuracy_of_branches_without_a_global_one_is_that_of_all_together(batch, kind):
    features, _, labels = batch
    # Six stripes: the topmost is right of no image, the others of each, but less sure together than it is in one.
    wrong, right = (F.one_hot(each, C).double() for each in ((labels + 1) % C, labels))
    sure = torch.ones(P * K, 1, dtype=torch.float64)
    sure[4] = 30
    branches = [sure * wrong, *[0.5 * right] * 5]
    config = LossConfig(classification={"kind": kind, "scale": 2.0}, triplet={"weight": 0.0})

    def accuracy(rule):
        output, generator = HeadOutput(features, features), torch.Generator()
        _, log = identity_losses(output, branches, labels, config, epoch=0.0, generator=generator, rule=rule)
        return log["accuracy"].item()

    scale = logit_scale(config.classification)
    together = torch.stack([(scale * part).softmax(1) for part in branches]).prod(0)
    expected = (together.argmax(1) == labels).double().mean().item()
    assert accuracy(BranchRule(whole=False)) == pytest.approx(expected) == pytest.approx(1 - 1 / (P * K))
    assert accuracy(BranchRule()) == 0


def test_extras_add_to_the_mean(batch, branches):
    total, _, _ = _branched(batch, branches, BranchRule(extras=(0.3, 2.0)))
    a, b, c, d = _each(branches, batch[2])
    assert total == pytest.approx(0.5 * ((a + b) / 2 + 0.3 * c + 2.0 * d))


def test_one_branch_is_never_left_out(batch, branches):
    total, _, _ = _branched(batch, branches[:2], BranchRule("random", 1, extras=(1.0,)))
    assert total == pytest.approx(0.5 * sum(_each(branches[:2], batch[2])))


def test_only_the_worst_branch(batch, branches):
    total, _, gradients = _branched(batch, branches, BranchRule("max_loss", extras=(0.5,)))
    *each, extra = _each(branches, batch[2])
    assert total == pytest.approx(0.5 * (max(each) + 0.5 * extra))
    learns = [bool(gradient.abs().max() > 0) for gradient in gradients]
    assert learns == [value == max(each) for value in each] + [True]


def test_branches_drawn_by_the_generator(batch, branches):
    each, outcomes = _each(branches, batch[2]), set()
    for seed in range(12):
        total, _, gradients = _branched(batch, branches, BranchRule("random", 2), seed)
        chosen = [i for i, gradient in enumerate(gradients) if gradient.abs().max() > 0]
        assert len(chosen) == 2 and total == pytest.approx(0.5 * (each[chosen[0]] + each[chosen[1]]) / 2)
        assert _branched(batch, branches, BranchRule("random", 2), seed)[0] == total
        outcomes.add(tuple(chosen))
    assert len(outcomes) > 2


def test_scale_of_logits():
    config = LossConfig().classification
    assert logit_scale(config) == 1.0
    assert logit_scale(replace(config, kind="am_softmax", scale=16.0)) == 16.0

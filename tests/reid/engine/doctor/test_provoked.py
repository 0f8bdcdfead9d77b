"""Each trouble, provoked in a real training, is named."""

from __future__ import annotations

import torch
from torch import nn

from reid.data.records import ImageSet
from reid.data.samplers import PKSampler
from reid.engine.doctor import Severity, TrainingFacts, Trouble, examine, identity_overlap


def named(records, facts) -> dict[Trouble, object]:
    return {diagnosis.trouble: diagnosis for diagnosis in examine(records, facts)}


def test_a_sound_training_is_silent(train):
    records, facts = train()
    assert records[-1]["holdout_mAP"] > 0.9 and records[-1]["accuracy"] > 0.95
    assert examine(records, facts) == ()


def test_a_rate_of_100_diverges(train):
    records, facts = train(lr=100.0)
    diagnosis = named(records, facts)[Trouble.DIVERGENCE]
    assert not diagnosis.gone and diagnosis.since <= 2
    assert "optimizer.lr (now 100)" in diagnosis.cure


def test_equal_images_collapse(train):
    records, facts = train(margin=None, cross_entropy=0.0, inputs=torch.ones(96, 16))
    diagnosis = named(records, facts)[Trouble.COLLAPSE]
    assert diagnosis.since == 1 and not diagnosis.gone
    assert "triplet loss 0.693 of log 2" in diagnosis.evidence


def test_zero_weights_collapse_and_have_no_gradient(train):
    def zero(network: nn.Module) -> None:
        for weight in network.parameters():
            nn.init.zeros_(weight)

    found = named(*train(change=zero))
    assert {Trouble.COLLAPSE, Trouble.VANISHING_GRADIENTS} <= set(found)
    assert found[Trouble.VANISHING_GRADIENTS].severity is Severity.CRITICAL


def test_fixed_features_are_stuck_at_the_margin(train):
    def fix(network: nn.Module) -> None:
        network.backbone.requires_grad_(False)
        for weight in network.backbone[2].parameters():
            weight.mul_(0.01)

    records, facts = train(noise=1.0, change=fix)
    found = named(records, facts)
    assert found[Trouble.STUCK_AT_MARGIN].since == 1
    assert Trouble.COLLAPSE not in found
    # The classifier does learn on the neck: it is the triplet alone that is stuck.
    assert records[-1]["loss_ce"] < 0.9 * records[0]["loss_ce"] and Trouble.NOT_LEARNING not in found


def test_a_rate_of_nearly_zero_does_not_learn(train):
    diagnosis = named(*train(lr=1e-8))[Trouble.NOT_LEARNING]
    assert diagnosis.severity is Severity.CRITICAL and "optimizer.lr (now 1e-08)" in diagnosis.cure


def test_persons_that_look_like_noise_stay_at_random_level(train):
    records, facts = train(noise=30.0)
    diagnosis = named(records, facts)[Trouble.RANDOM_LEVEL]
    assert not diagnosis.gone and f"{100 * facts.random_mAP:.1f} %" in diagnosis.evidence


def test_learning_by_heart_is_overfitting(train):
    """The held-out persons have other points than the training's: what is fitted of the noise costs mAP on them."""
    records, facts = train(lr=0.02, noise=1.2, epochs=24)
    best = max(record["holdout_mAP"] for record in records)
    assert records[-1]["accuracy"] > 0.95 and records[-1]["holdout_mAP"] < 0.9 * best
    assert named(records, facts)[Trouble.OVERFITTING].severity is Severity.NOTE


def test_few_images_starve_the_batches():
    labels = torch.arange(20).repeat_interleave(torch.tensor([2, 6] * 10))
    batch = PKSampler(labels, 4, 4, seed=0).epoch(0)[0]
    assert len(set(batch.tolist())) < len(batch)  # the trouble is there
    facts = TrainingFacts(10, 10, classes=20, identities=4, instances=4, identities_below_k=10)
    diagnosis = named([], facts)[Trouble.PK_STARVATION]
    assert "10 of 20 identities have fewer than K = 4 images" in diagnosis.evidence


def test_a_training_picture_in_the_gallery_is_overlap():
    images = torch.randint(0, 256, (6, 4, 2, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pids, camids = torch.tensor([1, 1, 2, 2, 3, 3]), torch.tensor([1, 2, 1, 2, 1, 2])
    whole = ImageSet(images, pids, camids)
    train, query, gallery = (whole.select(torch.tensor(part)) for part in ([0, 1, 2], [4], [2, 5]))
    overlap = identity_overlap(train, query, gallery)
    facts = TrainingFacts(10, 10, 2, 2, 2, shared_identities=len(overlap.identities), shared_images=len(overlap.images))
    diagnosis = named([], facts)[Trouble.IDENTITY_OVERLAP]
    assert diagnosis.severity is Severity.CRITICAL
    assert "1 identities and 1 identical images" in diagnosis.evidence

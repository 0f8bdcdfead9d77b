from __future__ import annotations

import dataclasses
import math
import re
from typing import get_type_hints

import pytest
import torch

from reid.engine.doctor import Overlap, TrainingFacts, facts_of
from reid.engine.doctor.rules import cures
from reid.engine.recipe import Recipe
from reid.engine.recipe.optimizers import OptimizerConfig
from reid.engine.recipe.schedule import ScheduleConfig
from reid.losses.config import ClassificationConfig, LossConfig, TripletConfig
from reid.models.heads.config import HeadConfig, SpectralConfig

LABELS = torch.tensor([3, 3, 3, 3, 5, 5, 8, 8, 8, 9, 11, 11, 11, 11, 11])


def recipe(**changes) -> Recipe:
    values = {
        "epochs": 30,
        "identities": 3,
        "instances": 4,
        "optimizer": OptimizerConfig(lr=0.02),
        "schedule": ScheduleConfig(warmup=5),
        "precision": "bf16",
        "clip_gradient": 5.0,
    }
    return Recipe(**(values | changes))


def test_facts():
    overlap = Overlap(identities=(4, 7), images=(("query", 0, 1),))
    assert facts_of(recipe(), LABELS, 9, random_mAP=0.02, overlap=overlap) == TrainingFacts(
        epochs=30,
        steps_per_epoch=9,
        classes=5,
        identities=3,
        instances=4,
        identities_below_k=3,
        single_image_identities=1,
        margin=0.3,
        warmup=5.0,
        learning_rate=0.02,
        clip_gradient=5.0,
        precision="bf16",
        random_mAP=0.02,
        shared_identities=2,
        shared_images=1,
    )


UNCLASSIFIED = LossConfig(ClassificationConfig(weight=0.0))


def test_facts_of_other_losses_and_batches():
    losses = LossConfig(
        ClassificationConfig(kind="circle"),
        TripletConfig(weight=0.5, margin=None, selection="semi_hard", normalize=True),
    )
    facts = facts_of(
        recipe(losses=losses, schedule=ScheduleConfig(warmup_steps=30)), LABELS, 20, fills_identities=False
    )
    assert (facts.margin, facts.triplet_weight, facts.selection, facts.normalize) == (None, 0.5, "semi_hard", True)
    assert facts.guessing_loss is None and facts.warmup == 1.5 and facts.instances == 0
    assert facts.classified and not facts_of(recipe(losses=UNCLASSIFIED), LABELS, 20).classified


def test_guessing_costs_more_with_a_second_classifier():
    """The spectral transformation's loss is added to the ordinary one's."""
    facts = facts_of(recipe(head=HeadConfig(spectral=SpectralConfig(weight=0.5))), LABELS, 9)
    assert facts.guessing_loss == pytest.approx(1.5 * math.log(5))


KEY = re.compile(r"\b(?:augment|averaging|losses|optimizer|schedule)(?:\.\w+)+")
FACTS = TrainingFacts(28, 65, 200, 16, 4, warmup=2)


@pytest.mark.parametrize("cure", ["separate", "start_gently", "calm", "feed_gradients", "learn", "stop_earlier"])
@pytest.mark.parametrize("facts", [FACTS, dataclasses.replace(FACTS, triplet_weight=0.0, precision="fp16")])
def test_cures_name_keys_that_exist(cure, facts):
    text = getattr(cures, cure)(facts)
    keys = KEY.findall(text)
    assert keys or "precision" in text
    for key in keys + ["precision", "clip_gradient", "identities", "instances"]:
        kind = Recipe
        for part in key.split("."):
            assert part in {field.name for field in dataclasses.fields(kind)}, key
            kind = get_type_hints(kind)[part]


def test_cures_know_the_present_values():
    assert "optimizer.lr (now 0.05)" in cures.calm(FACTS)
    assert "schedule.warmup (now 2 epochs, 130 steps)" in cures.calm(FACTS)
    assert "warmup" not in cures.calm(dataclasses.replace(FACTS, warmup=10))
    assert "clip_gradient (now 5.0)" in cures.calm(dataclasses.replace(FACTS, clip_gradient=5.0))
    assert "semi_hard" not in cures.separate(dataclasses.replace(FACTS, selection="semi_hard"))
    assert "semi_hard" in cures.separate(dataclasses.replace(FACTS, selection="weighted"))
    assert "zero_init_residual: auto" in cures.learn(FACTS)
    for zeroed in (True, "auto"):
        assert "zero_init_residual" not in cures.learn(dataclasses.replace(FACTS, zero_init_residual=zeroed))

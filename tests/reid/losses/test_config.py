"""What a loss configuration refuses, and in which words."""

from __future__ import annotations

import pytest

from reid.config import build_config, config_to_dict
from reid.errors import UserError
from reid.losses.config import ClassificationConfig, DistillationConfig, LossConfig, TripletConfig


@pytest.mark.parametrize(
    "data, message",
    [
        ({"classification": {"kind": "arcface"}}, "classification.kind: .*'am_softmax' or 'circle'"),
        ({"classification": {"smoothing": 1.0}}, "classification.smoothing: .*less than 1"),
        ({"classification": {"smoothing_over": "both"}}, "classification.smoothing_over"),
        ({"classification": {"scale": 0}}, "classification.scale: .*greater than 0"),
        ({"classification": {"margin": 0.2, "margin_start": 0.3}}, "margin_start: .*not exceed the margin of 0.2"),
        (
            {"classification": {"margin_start": 0.1}},
            "^recipe.yaml: classification: margin_start has no effect with margin_warmup 0; set margin_warmup above "
            "0, or leave",
        ),
        ({"classification": {"margin": 1.0, "margin_start": 0.3}}, "classification.margin: .*less than 1"),
        ({"triplet": {"weight": -1}}, "triplet.weight: .*greater than or equal to 0"),
        ({"triplet": {"weight": float("inf")}}, "triplet.weight: .*finite"),
        ({"triplet": {"selecton": "semi_hard"}}, "unknown key 'triplet.selecton'; nearest: selection"),
        (
            {"triplet": {"selection": "hardest"}},
            "triplet.selection: .*'batch_hard', 'weighted', 'semi_hard' or 'random_negative'",
        ),
        ({"circle": {"margin": 1.0}}, "circle.margin: .*less than 1"),
        ({"center": {"rate": 0}}, "center.rate"),
        ({"distillation": {"logits": 1.0}}, "distillation.logits: .*set distillation.teacher to a checkpoint"),
        ({"distillation": {"embedding": 1.0}}, "distillation.embedding: .*set distillation.teacher to a checkpoint"),
        ({"distillation": {"similarity": 1.0}}, "distillation.similarity: .*set distillation.teacher to a checkpoint"),
        ({"distillation": {"teacher": "", "logits": 1.0}}, "distillation.teacher: "),
        ({"distillation": {"teacher": "a.safetensors"}}, "set logits, embedding or similarity above 0"),
        ({"distillation": {"teacher": "a", "logits": 1, "temperature": 0}}, "distillation.temperature"),
        ({"distillation": {"teacher": [], "logits": 1}}, "distillation.teacher"),
        ({"distillation": {"teacher": ["a", "b"], "embedding": 1}}, "several teachers have no common axes.*=0"),
        (
            {"distillation": {"mixup": 0.5}},
            "blended images have no label, so they need a teacher; set distillation.teacher",
        ),
        (
            {"distillation": {"teacher": "a", "logits": 1, "mixup": 0.6}},
            "distillation.mixup: .*less than or equal to 0.5",
        ),
        (
            {"triplet": {"weight": 0}, "distillation": {"teacher": "a", "logits": 1, "mixup": 0.1}},
            "^recipe.yaml: distillation.mixup: blended images have no label; set these to 0: classification.weight$",
        ),
        (
            {"classification": {"weight": 0}, "triplet": {"weight": 0}},
            "set the weight of classification or triplet above 0",
        ),
        ({"classification": {"weight": 0}, "triplet": {"weight": 0}, "center": {"weight": 1}}, "has weight 0"),
    ],
)
def test_refused(data, message):
    with pytest.raises(UserError, match=message) as caught:
        build_config(LossConfig, data, "recipe.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["classification", "triplet", "circle", "centroid"])
def test_each_loss_may_stand_alone(name):
    data = {key: {"weight": 0} for key in ("classification", "triplet")} | {name: {"weight": 1}}
    assert getattr(build_config(LossConfig, data, "recipe.yaml"), name).weight == 1


@pytest.mark.parametrize("how", ["logits", "embedding", "similarity"])
def test_a_student_may_learn_from_its_teacher_alone(how):
    data = {"classification": {"weight": 0}, "triplet": {"weight": 0}}
    told = {"teacher": "t", how: 1, "mixup": 0.5}
    config = build_config(LossConfig, data | {"distillation": told}, "recipe.yaml")
    assert config.distillation.enabled and config.distillation.mixup == 0.5


def test_a_margin_may_begin_where_it_ends():
    assert ClassificationConfig(margin=0.2, margin_start=0.2, margin_warmup=5.0).margin_start == 0.2


def test_defaults_are_the_bag_of_tricks():
    config = LossConfig()
    assert config.classification == ClassificationConfig(weight=1.0, kind="linear", smoothing=0.1, smoothing_over="all")
    assert config.triplet == TripletConfig(weight=1.0, margin=0.3, selection="batch_hard", normalize=False)
    assert config.circle.weight == config.center.weight == config.centroid.weight == 0
    assert not config.distillation.enabled


def test_round_trip():
    config = LossConfig(
        classification=ClassificationConfig(kind="am_softmax", margin_start=0.1, margin_warmup=2.5),
        triplet=TripletConfig(margin=None),
        distillation=DistillationConfig(teacher="t.safetensors", similarity=3.0),
    )
    assert build_config(LossConfig, config_to_dict(config), "again") == config


def test_teachers_are_one_or_several():
    assert DistillationConfig().teachers == ()
    assert DistillationConfig(teacher="a", similarity=1.0).teachers == ("a",)
    several = build_config(LossConfig, {"distillation": {"teacher": ["a", "b"], "similarity": 1}}, "recipe.yaml")
    assert several.distillation.teachers == ("a", "b")

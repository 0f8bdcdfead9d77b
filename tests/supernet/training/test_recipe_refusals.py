"""What a recipe may ask of a stand-alone network and not of a supernet: refused in a line, whatever else it asks."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest

from reid.config import build_config
from reid.engine.recipe import Recipe
from reid.errors import UserError
from supernet.supernet import Supernet
from supernet.training import SupernetRecipe, SupernetTask
from supernet.training.recipe import check_recipe


def _task(space, recipe: dict) -> SupernetTask:
    return SupernetTask(Supernet(space), 4, build_config(SupernetRecipe, {"recipe": recipe}, "test"), seed=0)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"head": {"parts": {"stripes": 2}}}, "supernet.recipe.head: a supernet has the plain BNNeck head"),
        ({"head": {"embedding": 16}}, "supernet.recipe.head"),
        ({"losses": {"classification": {"kind": "circle"}}}, "classification.kind: .*only the linear classifier"),
        ({"losses": {"center": {"weight": 5e-4}}}, "losses.center: .*there are no common centers"),
        (
            {"losses": {"distillation": {"teacher": "a/run", "embedding": 1.0}}},
            "losses.distillation.embedding: archs of this space have embeddings of different lengths; set it to 0",
        ),
        ({"optimizer": {"rates": {"backbone": 0.0}}}, "optimizer: no part of a supernet can be fixed"),
        ({"compile": True}, "compile: every step runs other archs"),
        ({"keep_best": True}, "keep_best: a search runs on a supernet's last weights"),
        (
            {"early_stopping": {"patience": 3}},
            "early_stopping.metric: .* is never measured.*; .* a supernet has largest_mAP and smallest_mAP",
        ),
        ({"optimizer": {"freeze_epochs": {"head": 3}}}, "optimizer: no part of a supernet can be fixed"),
        ({"early_stopping": {"metric": "mAP"}}, "'mAP' is never measured; nearest: largest_mAP"),
        ({"early_stopping": {"metric": "loss_circle", "mode": "min"}}, "'loss_circle' is never measured; nearest: "),
        ({"early_stopping": {"metric": "random_lr"}}, "'random_lr' is never measured"),
        ({"early_stopping": {"metric": "smallest_mAP"}}, "smallest_mAP is never measured; set .*evaluate_every"),
    ],
)
def test_refused(toy_space, recipe, message):
    with pytest.raises(UserError, match=message) as caught:
        _task(toy_space, recipe)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sampling", "why"),
    [
        ({"largest_every": 0}, "no step trains the largest .sampling.largest_every: 0."),
        ({"archs": 0}, "none is .sampling.archs: 0."),
        ({"warmup_epochs": 2}, "none is in the first 2 epochs .sampling.warmup_epochs."),
    ],
)
def test_it_stops_by_no_arch_beside_the_largest_where_none_is_trained_there(toy_space, sampling, why):
    recipe = {"early_stopping": {"metric": "random_loss", "mode": "min"}}
    config = build_config(SupernetRecipe, {"recipe": recipe, "sampling": sampling}, "test")
    with pytest.raises(
        UserError, match=f"metric random_loss is measured on an arch .* the largest, and {why}; name 'loss'$"
    ):
        SupernetTask(Supernet(toy_space), 4, config, seed=0)


@pytest.mark.parametrize(
    "recipe",
    [
        {"head": {"neck": "bnneck"}},  # what it has anyway, written out
        {"losses": {"circle": {"weight": 0.1}, "centroid": {"weight": 0.1}, "triplet": {"selection": "semi_hard"}}},
        {"optimizer": {"rates": {"backbone": 0.1}}, "averaging": {"kind": "ema"}, "sampler": "random"},
        {"early_stopping": {"patience": 3, "metric": "largest_mAP"}, "evaluate_every": 1},
        {"early_stopping": {"metric": "random_loss_triplet", "mode": "min"}},
    ],
)
def test_everything_else_is_taken(toy_space, recipe):
    assert _task(toy_space, recipe).config.recipe == build_config(Recipe, recipe, "test")


@pytest.mark.parametrize("sampling", [{"archs": 0, "smallest": True}, {"warmup_epochs": 0.5}])
def test_it_stops_by_the_arch_beside_the_largest_that_every_epoch_trains(toy_space, sampling):
    metric = f"{'smallest' if 'smallest' in sampling else 'random'}_loss"
    recipe = {"early_stopping": {"metric": metric, "mode": "min"}}
    config = build_config(SupernetRecipe, {"recipe": recipe, "sampling": sampling}, "test")
    assert SupernetTask(Supernet(toy_space), 4, config, seed=0).config.recipe.early_stopping.metric == metric


@pytest.mark.parametrize(
    ("last_widths", "of_last_stage", "one_length"),
    [
        ((0,), (8,), True),
        ((10,), (8, 12), True),  # the last convolution's, whatever it is given
        ((0, 10), (10,), True),
        ((0,), (8, 12), False),
        ((10, 20), (8,), False),
        ((0, 10), (8,), False),
    ],
)
def test_embeddings_are_distilled_in_spaces_of_one_length_alone(toy_space, last_widths, of_last_stage, one_length):
    stages = (*toy_space.stages[:-1], replace(toy_space.stages[-1], widths=of_last_stage))
    space = replace(toy_space, stages=stages, last_widths=last_widths)
    context = nullcontext() if one_length else pytest.raises(UserError, match="embeddings of different lengths")
    with context:
        check_recipe(SupernetRecipe(embedding_weight=1.0), space)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"sampling": {"warmup_epochs": 5}, "recipe": {"epochs": 5}}, "warmup_epochs 5 of 5 epochs: only the"),
        (dict.fromkeys(("label_weight", "logit_weight", "similarity_weight"), 0), "are all 0: the archs besides the"),
    ],
)
def test_a_recipe_by_which_the_largest_arch_alone_learns_is_refused(data, message):
    with pytest.raises(UserError, match=f"^here: .*{message}"):
        build_config(SupernetRecipe, data, "here")


def test_archs_may_learn_by_embeddings_alone():
    weights = dict.fromkeys(("label_weight", "logit_weight", "similarity_weight"), 0)
    assert build_config(SupernetRecipe, {"embedding_weight": 1.0, **weights}, "here").embedding_weight == 1


def test_archs_may_learn_by_steps_without_the_largest_alone():
    weights = dict.fromkeys(("label_weight", "logit_weight", "similarity_weight"), 0)
    assert build_config(SupernetRecipe, {"sampling": {"largest_every": 2}, **weights}, "here").label_weight == 0

"""What a user is told of a recipe at the start, rather than at the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reid.config import load_config
from reid.engine.recipe import Recipe
from reid.engine.recipe.scaling import at_epochs
from reid.losses.config import ClassificationConfig, LossConfig
from tools.jobs.experiment import RECIPES
from tools.jobs.training.notes import (
    bluntness,
    never_looked,
    never_reached,
    never_trained,
    recipe_notes,
    thinned_out,
    without_pairs,
)


def test_a_classification_whose_loss_cannot_fall_is_told():
    circle = ClassificationConfig(kind="circle")
    assert "circle at scale 30 and margin 0.35 leaves a loss of 0.39 over 751 classes" in bluntness(circle, 751)
    for sharp in (replace(circle, scale=64.0), replace(circle, scale=128.0, margin=0.25), ClassificationConfig()):
        assert bluntness(sharp, 751) is None
    assert "am_softmax at scale 5 " in bluntness(replace(circle, kind="am_softmax", scale=5.0), 751)


def test_parts_that_are_fixed_to_the_end_are_told():
    """Not those whose rate is 0: that says that it is meant."""
    fixed = {"backbone": 5, "head": 0, "classifier": 9}
    recipe = Recipe(epochs=5, optimizer={"freeze_epochs": fixed, "rates": {"classifier": 0}})
    assert never_trained(recipe).startswith(
        "optimizer.freeze_epochs: backbone fixed to the end (epochs: 5), so never trained"
    )
    for told in (replace(recipe, epochs=6), Recipe(), Recipe(optimizer={"rates": {"backbone": 0}})):
        assert never_trained(told) is None


def test_metric_losses_on_random_batches_are_told():
    """Of 64 images of 751 persons one in twelve has a positive: whoever asks for random batches wants no triplets."""
    recipe = Recipe(sampler="random", losses={"circle": {"weight": 0.1}})
    told = without_pairs(recipe, 751)
    assert told.startswith("sampler random: in a batch of 64, about 8 % of the images have another one of their person")
    assert "losses.triplet and losses.circle nothing" in told
    alone = replace(recipe, losses=LossConfig(triplet={"weight": 0}))
    assert without_pairs(alone, 751) is None and without_pairs(Recipe(), 751) is None
    assert without_pairs(recipe, 20) is None  # so few that most have one


def test_a_schedule_that_the_training_is_over_before_is_told():
    """As where the number of epochs alone is set: the rate of ``mlr`` would never fall."""
    mlr = replace(load_config(Recipe, RECIPES / "mlr.yaml"), epochs=28)
    words = (
        "schedule: the rate has not yet fallen as planned after epoch 50, 120, 150 at the end (epochs: 28); --epochs"
    )
    assert never_reached(mlr, 200).startswith(words)
    assert "epoch 150 at" in never_reached(replace(mlr, epochs=130), 200)
    step = Recipe(epochs=10, schedule={"name": "step"})
    assert "as planned after epoch 20 at the end" in never_reached(step, 200)
    in_steps = Recipe(epochs=10, schedule={"warmup_steps": 2000})
    for warm in (Recipe(epochs=10, schedule={"warmup": 10}), in_steps):
        assert never_reached(warm, 200).startswith("schedule: the warm-up of 10 epochs is not over at the end")
    short = Recipe(epochs=1, schedule={"warmup": 1})
    assert never_reached(short, 200).startswith("schedule: the warm-up of 1 epoch is not over")
    assert never_reached(in_steps, 200).endswith("schedule too, or set schedule.warmup_steps below 2000")
    assert never_reached(in_steps, 201) is None
    ended = replace(mlr, schedule=replace(mlr.schedule, planned=180))
    for meant in (at_epochs(load_config(Recipe, RECIPES / "mlr.yaml"), 28), replace(mlr, epochs=150), ended, Recipe()):
        assert never_reached(meant, 200) is None


def test_branches_that_share_the_weight_of_one_are_told():
    """The recipes that come along sum their branches."""
    four = Recipe(head={"parts": {"stripes": 4, "embedding": 128, "retrieve": "global"}})
    told = thinned_out(four)
    assert told.startswith(
        "losses.classification.weight 1 applies to the mean over 5 branches, so 0.2 for each; 5 gives each"
    )
    assert told in recipe_notes(four, 751, 100)
    for own in ({"stripes": 4, "global_branch": False}, {"stripes": 2}):
        assert thinned_out(Recipe(head={"parts": own})) is not None
    weighted = replace(four, losses=LossConfig(classification={"weight": 5.0}))
    unweighted = replace(four, losses=LossConfig(classification={"weight": 0.0}))
    chosen = Recipe(head={"parts": {"stripes": 4, "update": "random"}})
    assert [thinned_out(each) for each in (weighted, unweighted, chosen, Recipe())] == [None] * 4


def test_looks_at_persons_who_are_trained_on_are_told():
    assert never_looked(Recipe()) is None
    words = "retrain.evaluate_every 5 has no effect, because the held-out identities are trained on"
    assert never_looked(Recipe(evaluate_every=5)).startswith(words)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_nothing_is_to_be_said_of_the_recipes_that_come_along(path):
    recipe = load_config(Recipe, path)
    assert recipe_notes(recipe, 751, 202) == recipe_notes(at_epochs(recipe, 28), 751, 202) == []

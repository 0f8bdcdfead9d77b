"""A recipe in an opening's lines; what it is called: its file's name at any length, said to be changed where it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reid.config import config_to_dict, load_config
from reid.engine.recipe import Recipe
from reid.engine.recipe.scaling import at_batch, at_epochs
from reid.errors import UserError
from reid.models.heads import HeadConfig
from supernet.training import SupernetRecipe
from tools.jobs.experiment import RECIPES, load_experiment
from tools.jobs.words.recipes import head_line, recipe_lines, recipe_name, saved_recipe_name, step_line


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_has_its_name_at_any_length(path):
    recipe = load_config(Recipe, path)
    for same in (recipe, at_epochs(recipe, 28), replace(recipe, compile=True, keep_best=True)):
        assert recipe_name(same) == path.stem
    assert saved_recipe_name({"recipe": config_to_dict(recipe)}) == path.stem


def test_what_changes_a_recipe_is_said():
    standard = load_config(Recipe, RECIPES / "standard.yaml")
    for changed in (replace(standard, precision="bf16"), at_batch(standard, 32, 4)):
        assert recipe_name(changed) == "standard, changed"
    assert recipe_name(Recipe()) == recipe_name(replace(standard, source="mine")) == "own"


def test_the_recipe_of_an_experiment():
    given = load_experiment(RECIPES.parent / "market1501.yaml", recipe="mlr", epochs=5)
    assert recipe_name(given.retrain) == "mlr"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "retrain=bot",
            r"^retrain: must contain .*\(given: 'bot'\).*\{base: recipes/bot.yaml\}.*--recipe bot of",
        ),
        ("supernet.recipe=mlr", r"^supernet.recipe: must contain .*\{base: recipes/mlr.yaml\} in a config$"),
        (f"retrain={RECIPES / 'bot.yaml'}", r"\{base: recipes/bot.yaml\}"),
        ("retrain=bott", "^no recipe is called 'bott'; nearest: bot"),
    ],
)
def test_a_recipes_name_in_place_of_its_keys_is_told_how_it_is_taken(given, message):
    with pytest.raises(UserError, match=message):
        load_experiment(RECIPES.parent / "market1501.yaml", overrides=[given])


def test_runs_that_have_none():
    for config in (None, {}, {"recipe": {"no_longer": 1}}):
        assert saved_recipe_name(config) == ""


def test_recipe_lines_name_what_decides():
    steps = "60 epochs, pk batches of 16x4, sgd lr 0.05 wd 0.0005, cosine, fp32"
    losses = "1 classification (linear) + 1 triplet (batch_hard, margin 0.3)"
    assert recipe_lines(Recipe()) == [("recipe", steps), ("", None), ("losses", losses)]
    named = recipe_lines(Recipe(source="a paper", averaging={"kind": "ema"}, losses={"triplet": {"margin": None}}))
    losses = "1 classification (linear) + 1 triplet (batch_hard, soft margin); weights averaged (ema)"
    assert named == [("recipe", "a paper"), ("", steps), ("losses", losses)]


def test_a_head_of_ones_own_is_said():
    heavy = load_config(Recipe, RECIPES / "heavy.yaml")
    told = "avg pooling, neck bnneck, 4 stripes of 128 (update all, retrieve global)"
    assert recipe_lines(heavy)[3:] == [("head", told)]
    plain = {"pool": "gem", "embedding": 512, "neck": "bn", "relu": True, "mask": True, "dropout": 0.2}
    every = HeadConfig(**plain, normalize=True, erase={}, spectral={"weight": 0.5})
    words = "gem pooling, embedding 512, neck bn, relu, mask, dropout 0.2, normalised, feature erasing"
    assert head_line(every) == f"{words}, spectral transformation (weight 0.5)"
    alone = HeadConfig(parts={"global_branch": False, "update": "max_loss"})
    assert head_line(alone).endswith("6 stripes of 256 (update max_loss, retrieve all, no global branch)")


def test_the_archs_of_a_supernets_step_are_said():
    taught = "; taught by the largest: 0.5 label + 1 logit + 10 similarity"
    assert step_line(SupernetRecipe()) == f"largest arch + 3 random (spread flops){taught}"
    sampling = {"smallest": True, "flops": ("150M", "220M"), "attentive": "best", "warmup_epochs": 0.5}
    told = "largest arch + smallest + 3 random (spread flops from 150M to 220M, the best of 3)"
    sandwich = SupernetRecipe(recipe=Recipe(epochs=2), sampling=sampling)
    assert step_line(sandwich) == f"{told}{taught}; largest alone for 0.5 epochs"
    single = SupernetRecipe(sampling={"archs": 1, "largest_every": 0, "spread": "uniform"})
    assert step_line(single) == "1 random (spread uniform)"
    assert step_line(SupernetRecipe(sampling={"largest_every": 4})).startswith("largest arch every 4 steps + 3 random")


def test_parts_that_are_fixed_are_said():
    steps = recipe_lines(Recipe())[0][1]
    optimizer = {"freeze_epochs": {"backbone": 10, "classifier": 1}, "rates": {"classifier": 0}}
    words = ", backbone fixed for 10 epochs, classifier fixed"
    assert recipe_lines(Recipe(optimizer=optimizer))[0] == ("recipe", steps + words)
    once = Recipe(optimizer={"freeze_epochs": {"head": 1}})
    assert recipe_lines(once)[0] == ("recipe", f"{steps}, head fixed for 1 epoch")


def test_a_recipe_that_comes_along_is_named_and_what_changes_it_is_said():
    standard = load_config(Recipe, RECIPES / "standard.yaml")
    assert recipe_lines(standard)[0] == ("recipe", f"standard: {standard.source}")
    assert recipe_lines(replace(standard, sampler="random"))[0] == ("recipe", f"standard, changed: {standard.source}")

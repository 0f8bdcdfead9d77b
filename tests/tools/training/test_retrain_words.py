"""What a training says of itself at its start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reid.engine.recipe import Recipe
from reid.losses.config import ClassificationConfig, LossConfig
from supernet.zoo import zoo_weights
from tools.jobs.training.retrain_words import bluntness, never_trained, terms_of, without_pairs


def test_a_classification_whose_loss_cannot_fall_is_told():
    circle = ClassificationConfig(kind="circle")
    assert "circle at scale 30 and margin 0.35 leaves a loss of 0.39 over 751 classes" in bluntness(circle, 751)
    for sharp in (replace(circle, scale=64.0), replace(circle, scale=128.0, margin=0.25), ClassificationConfig()):
        assert bluntness(sharp, 751) is None
    assert "am_softmax at scale 5 " in bluntness(replace(circle, kind="am_softmax", scale=5.0), 751)


def test_the_licence_of_the_zoos_weights_is_told():
    """At the start: before days of training, on images that may be used for a product, begin with weights that may
    not."""
    words = terms_of(zoo_weights("osnet-x0.42-market1501"))
    assert words.startswith("of OSNet-x0.42-market1501, and so of what is trained from it: research only: ")
    assert terms_of(Path("runs/mine/last.safetensors")) is None and terms_of("imagenet") is None


def test_parts_that_are_fixed_to_the_end_are_told():
    """Not those whose rate is 0: that says that it is meant."""
    fixed = {"backbone": 5, "head": 0, "classifier": 9}
    recipe = Recipe(epochs=5, optimizer={"freeze_epochs": fixed, "rates": {"classifier": 0}})
    assert never_trained(recipe).startswith(
        "optimizer.freeze_epochs: backbone fixed to the end (epochs: 5), never trained"
    )
    for told in (replace(recipe, epochs=6), Recipe(), Recipe(optimizer={"rates": {"backbone": 0}})):
        assert never_trained(told) is None


def test_metric_losses_on_random_batches_are_told():
    """Of 64 images of 751 persons one in twelve has a positive: whoever asks for random batches wants no triplets."""
    recipe = Recipe(sampler="random", losses={"circle": {"weight": 0.1}})
    told = without_pairs(recipe, 751)
    assert told.startswith("sampler random: in a batch of 64 about 8 % of the images have another one of their person")
    assert "losses.triplet and losses.circle nothing" in told
    alone = replace(recipe, losses=LossConfig(triplet={"weight": 0}))
    assert without_pairs(alone, 751) is None and without_pairs(Recipe(), 751) is None
    assert without_pairs(recipe, 20) is None  # so few that most have one

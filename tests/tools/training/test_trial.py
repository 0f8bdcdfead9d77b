"""What is found of a network and its recipe before a run folder is begun."""

from __future__ import annotations

import pytest

from reid.config import build_config
from reid.engine.recipe import Recipe
from reid.errors import UserError
from reid.models.network import ReidNetwork
from supernet.files import arch_from_rows
from supernet.network import build_network
from tools.jobs.training.trial import try_network

SIZE = (32, 16)
METRIC = {"classification": {"weight": 0}}
TOLD = {**METRIC, "triplet": {"weight": 0}, "distillation": {"teacher": "t", "similarity": 1}}
FIXED = {"freeze_epochs": {"backbone": 2}}


def _network(recipe: Recipe) -> ReidNetwork:
    arch = arch_from_rows(((1, 4, 1, 1), (2, 8, 1, 2)), input_size=SIZE, stem=4, last_width=16)
    return build_network(arch, recipe.head)


def _recipe(**keys) -> Recipe:
    return build_config(Recipe, keys, "the test")


@pytest.mark.parametrize(
    ("head", "optimizer", "losses"),
    [
        ({}, FIXED, METRIC),  # the triplet loss sees what is before the neck
        ({"pool": "gem", "embedding": 8}, {"rates": {"backbone": 0, "head": 0}}, METRIC),
        ({"neck": "none"}, {"rates": {"backbone": 0}}, TOLD),
        ({"neck": "none"}, {"rates": {"backbone": 0, "classifier": 0}}, {}),
    ],
)
def test_nothing_that_learns(head, optimizer, losses):
    recipe = _recipe(head=head, optimizer=optimizer, losses=losses)
    with pytest.raises(UserError, match="retrain.optimizer: with backbone.* fixed in the first epoch, nothing is left"):
        try_network(_network(recipe), SIZE, recipe)


@pytest.mark.parametrize(
    ("head", "optimizer", "losses"),
    [
        ({}, {}, METRIC),
        ({}, FIXED, {}),
        ({}, FIXED, {**METRIC, "distillation": {"teacher": "t", "logits": 1}}),
        ({"pool": "gem"}, FIXED, METRIC),
        ({}, FIXED, TOLD),  # by the neck's scale
        ({"parts": {"stripes": 2, "embedding": 4, "global_branch": False}}, FIXED, METRIC),
    ],
)
def test_something_learns(head, optimizer, losses):
    recipe = _recipe(head=head, optimizer=optimizer, losses=losses)
    network = _network(recipe)
    before = [parameter.requires_grad for parameter in network.parameters()]
    try_network(network, SIZE, recipe)
    assert [parameter.requires_grad for parameter in network.parameters()] == before

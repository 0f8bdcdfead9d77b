"""Matching tensors by name and in order."""

from __future__ import annotations

import random

import torch
from hypothesis import given
from hypothesis import strategies as st

from reid.models.backbones.matching import (
    WRAPPERS,
    bare_name,
    match_by_name,
    match_in_order,
    mobilenet_v2_features,
)

SHAPES = st.lists(st.sampled_from([(2, 3), (4, 3, 1, 1), (5,)]), min_size=1, max_size=14)


@given(st.lists(st.sampled_from(WRAPPERS)))
def test_wrappers_fall_away(wrappers):
    assert bare_name("".join(wrappers) + "layer1.0.conv1.weight") == "layer1.0.conv1.weight"


def test_wrappers_inside_a_name_stay():
    assert bare_name("conv1.module.weight") == "conv1.module.weight"
    assert bare_name("modules.conv1.weight") == "modules.conv1.weight"


def test_names_match_whatever_is_before_them():
    own = {"trunk.conv1.weight": torch.zeros(1), "trunk.bn1.bias": torch.zeros(1)}
    theirs = {"module.base.conv1.weight": torch.zeros(2), "module.classifier.weight": torch.zeros(1)}
    assert match_by_name(own, theirs) == {"trunk.conv1.weight": "module.base.conv1.weight"}


def layer(name, shape, with_bn):
    state = {f"{name}.weight": torch.zeros(shape)}
    if with_bn:
        state |= {f"{name}.bias": torch.zeros(shape[0]), f"{name}.num_batches_tracked": torch.zeros(())}
    return state


@given(SHAPES, st.randoms(use_true_random=False))
def test_layers_in_order_match_however_the_file_is_sorted(shapes, source: random.Random):
    own, theirs, wanted = {}, {}, {}
    for position, shape in enumerate(shapes):
        mine, other = f"stage{shapes[position]}.{'abc'[position % 3]}{position}", f"features.{position}.0"
        own |= layer(mine, shape, with_bn=position % 2 == 0)
        theirs |= layer(other, shape, with_bn=position % 2 == 0)
        wanted |= {f"{mine}.{key}": f"{other}.{key}" for key in ("weight", "bias")[: 2 - position % 2]}
    shuffled = list(theirs.items())
    source.shuffle(shuffled)
    assert match_in_order(own, dict(shuffled)) == wanted


@given(SHAPES, st.data())
def test_one_other_shape_and_nothing_matches(shapes, data):
    own, theirs = {}, {}
    for position, shape in enumerate(shapes):
        own |= layer(f"own{position}", shape, with_bn=True)
        theirs |= layer(f"features.{position}", shape, with_bn=True)
    key = data.draw(st.sampled_from([key for key in theirs if not key.endswith("tracked")]))
    assert match_in_order(own, theirs | {key: torch.zeros(9, 9)}) == {}
    assert match_in_order(own, {name: value for name, value in theirs.items() if name != key}) == {}


def test_features_of_mobilenet_v2():
    state = {"module.features.0.0.weight": torch.zeros(1), "module.classifier.1.weight": torch.zeros(1)}
    assert list(mobilenet_v2_features(state)) == ["module.features.0.0.weight"]
    assert mobilenet_v2_features({"conv1.weight": torch.zeros(1)}) == {}

"""Layers counted by their pieces, beside fvcore's count of the whole layer."""

from __future__ import annotations

from random import Random

import pytest

from reid.models.network import count_parameters
from search.costs.fvcore_counts import count_flops
from search.costs.pieces import PIECES
from search.costs.table import part_cost, part_keys
from supernet.files import load_space
from supernet.layer_kinds import LAYERS
from supernet.space import decode
from supernet.space.genome import sample

BLOCKS = [
    (channels, out, kernel, expand, stride, se, ibn)
    for channels, out in ((8, 8), (16, 24))
    for kernel, expand, stride in ((3, 1, 1), (5, 1, 2), (7, 6, 2), (3, 4, 1))
    for se, ibn in ((False, False), (True, False), (True, True))
    if not (ibn and expand == 1)
]
OMNI = [
    (channels, out, hidden, streams, kernel, channels != out or streams == 3)
    for channels, out in ((16, 16), (16, 24))
    for hidden in (8, 27)
    for streams, kernel in ((1, 3), (3, 5), (4, 3))
]


@pytest.mark.parametrize(("kind", "choices"), [("block", BLOCKS), ("omni-block", OMNI)])
@pytest.mark.parametrize("size", [(8, 4), (7, 5), (1, 1)])
def test_pieces_add_up_to_the_layer(kind, choices, size):
    for channels, *rest in choices:
        if size == (1, 1) and rest[-1] and kind == "block":
            continue  # instance normalisation wants more than a pixel
        module = LAYERS[kind](channels, *rest).eval()
        whole = count_flops(module, (channels, *size)), count_parameters(module)
        assert part_cost((kind, *size, channels, *rest)) == whole, rest


def test_a_space_has_few_pieces():
    """Which is why its layers are counted by them."""
    space, random, layers, pieces = load_space("osnet-like"), Random(0), set(), set()
    for _ in range(300):
        for kind, *arguments in part_keys(decode(space, sample(space, random))):
            if kind in PIECES:
                layers.add((kind, *arguments))
                pieces |= {piece[:4] for piece in PIECES[kind](*arguments)}
    assert len(layers) > 4 * len(pieces)

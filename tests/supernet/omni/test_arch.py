"""Archs with omni-scale stages: values, dictionaries, refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.errors import UserError
from supernet.arch import Arch, Block, Stage
from supernet.files import arch_from_dict, arch_to_dict
from supernet.omni.arch import OmniBlock, OmniStage

OMNI_BLOCKS = st.builds(OmniBlock, st.integers(1, 64), st.integers(1, 4), st.sampled_from([1, 3, 5, 7]))
OMNI_STAGES = st.builds(
    OmniStage,
    st.integers(1, 64),
    st.sampled_from([1, 2]),
    st.lists(OMNI_BLOCKS, min_size=1, max_size=3).map(tuple),
    st.booleans(),
)
PLAIN_STAGES = st.builds(Stage, st.integers(1, 64), st.just(1), st.just((Block(3, 2),)))
ARCHS = st.builds(
    Arch,
    st.tuples(st.integers(64, 256), st.integers(64, 256)),
    st.integers(1, 64),
    st.lists(OMNI_STAGES | PLAIN_STAGES, min_size=1, max_size=4).map(tuple),
    st.integers(0, 512),
    st.none() | st.integers(1, 512),
    st.sampled_from([1, 3, 7]),
    st.booleans(),
)


@given(ARCHS)
@settings(max_examples=60, deadline=None)
def test_dictionary_round_trip(arch):
    again = arch_from_dict(arch_to_dict(arch))
    assert again == arch and hash(again) == hash(arch)


STAGE = {"block": "omni-scale", "width": 8, "stride": 2, "hidden": [4], "streams": [3], "kernels": [3]}
GOOD = {"input_size": [64, 32], "stem": 8, "stages": [STAGE], "last_width": 16, "embedding": None}


def test_what_stands_at_its_default_is_left_out():
    arch = arch_from_dict(GOOD)
    assert arch_to_dict(arch) == GOOD and (arch.stem_kernel, arch.stem_pool) == (3, False)
    assert arch_to_dict(replace(arch, stem_kernel=7, stem_pool=True)) == GOOD | {"stem_kernel": 7, "stem_pool": True}
    ended = GOOD | {"stages": [STAGE | {"transition": True}]}
    assert arch_to_dict(arch_from_dict(ended)) == ended
    assert arch_from_dict(GOOD | {"stages": [STAGE | {"transition": False}]}) == arch


def test_activations_and_depth():
    arch = arch_from_dict(GOOD)
    assert (arch.stem_act, arch.last_act, arch.depth) == ("relu", "relu", 1)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"block": "omni"}, "block omni: must be one of inverted-residual, omni-scale"),
        ({"block": ["omni-scale"]}, "block .*: must be one of"),
        ({"expands": [3]}, "unknown key 'expands' in a stage"),
        ({"se": True}, "unknown key 'se' in a stage"),
        ({"stream": [3]}, "unknown key 'stream' in a stage; nearest: streams"),
        ({"streams": [3, 4]}, "stage of width 8: 1 hidden but 2 streams"),
        ({"kernels": []}, "stage of width 8: 1 hidden but 0 kernels"),
        ({"hidden": [0]}, "block hidden 0: must be at least 1"),
        ({"hidden": 4}, "hidden: must be a list"),
        ({"streams": [5]}, "block streams 5: must be 1 to 4"),
        ({"kernels": [4]}, "block kernel 4: must be odd"),
        ({"transition": 1}, "transition must be true or false .given: 1"),
        ({"stride": 3}, "stride 3"),
        ({"hidden": [], "streams": [], "kernels": []}, "needs at least one block"),
    ],
)
def test_bad_stages_name_the_key(stage, message):
    with pytest.raises(UserError, match=message) as caught:
        arch_from_dict(GOOD | {"stages": [STAGE | stage]})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stem_kernel": 4}, "stem_kernel 4: must be odd"),
        ({"stem_kernel": "x"}, "stem_kernel"),
        ({"stem_pool": 1}, "stem_pool must be true or false .given: 1"),
        ({"stages": [{key: value for key, value in STAGE.items() if key != "hidden"}]}, "key 'hidden' is missing"),
        ({"input_size": [2, 32]}, "stage 1 halves a map of 1x16 at 2x32; use larger images"),
        ({"input_size": [64, 4], "stem_pool": True}, "stage 1 halves a map of 16x1 at 64x4; use larger images"),
        ({"input_size": [4, 4], "stages": [STAGE, STAGE]}, "stage 2 halves a map of 1x1 at 4x4"),
    ],
)
def test_bad_archs_name_the_key(change, message):
    with pytest.raises(UserError, match=message):
        arch_from_dict(GOOD | change)


def test_rows_have_mobilenetv2s_stem():
    rows = {"input_size": [64, 32], "rows": [[1, 8, 1, 1]]}
    for change in ({"stem_kernel": 7}, {"stem_pool": True}):
        with pytest.raises(UserError, match=f"'{next(iter(change))}' belongs to 'stages'"):
            arch_from_dict(rows | change)

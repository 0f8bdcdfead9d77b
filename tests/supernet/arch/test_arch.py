"""Archs: values, dictionaries, the short form, and MobileNetV2 against torchvision's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.errors import UserError
from supernet.arch import Arch, Block, Stage
from supernet.files import ARCHS, arch_from_dict, arch_from_rows, arch_to_dict, load_arch, mobilenet_v2
from supernet.network import build_network

BLOCKS = st.builds(Block, st.sampled_from([1, 3, 5, 7]), st.integers(1, 6))


@st.composite
def _stages(draw) -> Stage:
    blocks = tuple(draw(st.lists(BLOCKS, min_size=1, max_size=3)))
    ibn = draw(st.booleans()) and any(block.expand > 1 for block in blocks)
    width, stride = draw(st.integers(1, 64)), draw(st.sampled_from([1, 2]))
    return Stage(width, stride, blocks, draw(st.booleans()), ibn, draw(st.sampled_from(["relu6", "h-swish"])))


ARCHS_OF_ANY_KIND = st.builds(
    Arch,
    st.tuples(st.integers(64, 256), st.integers(64, 256)),
    st.integers(1, 64),
    st.lists(_stages(), min_size=1, max_size=4).map(tuple),
    st.integers(0, 512),
    st.none() | st.integers(1, 512),
)


@given(ARCHS_OF_ANY_KIND)
@settings(max_examples=60, deadline=None)
def test_dictionary_round_trip(arch):
    again = arch_from_dict(arch_to_dict(arch))
    assert again == arch and hash(again) == hash(arch) and again is not arch
    assert len({arch, again}) == 1


@given(ARCHS_OF_ANY_KIND, ARCHS_OF_ANY_KIND)
@settings(max_examples=30, deadline=None)
def test_archs_are_equal_where_their_dictionaries_are(first, second):
    assert (first == second) == (arch_to_dict(first) == arch_to_dict(second))


def test_properties():
    arch = mobilenet_v2()
    assert (arch.depth, arch.feature_width, arch.feature_dim) == (17, 1280, 1280)
    bare = arch_from_rows([[1, 8, 1, 1], [6, 24, 2, 2]], input_size=(64, 32), last_width=0, embedding=16)
    assert (bare.depth, bare.feature_width, bare.feature_dim) == (3, 24, 16)
    assert bare.at((8, 8)).input_size == (8, 8) and bare.at(None) == bare


def test_rows_form():
    data = {"input_size": [64, 32], "stem": 8, "rows": [[1, 8, 1, 1], [4, 16, 2, 2]], "last_width": 32, "kernel": 5}
    stages = (Stage(8, 1, (Block(5, 1),)), Stage(16, 2, (Block(5, 4), Block(5, 4))))
    assert arch_from_dict(data) == Arch((64, 32), 8, stages, 32)


def test_extras_are_written_where_they_are_chosen():
    """Files from before they were there read and print as they did."""
    plain = Stage(16, 2, (Block(5, 4),))
    extra = replace(plain, se=True, ibn=True, act="h-swish")
    first, second = arch_to_dict(Arch((64, 32), 8, (plain, extra), 32))["stages"]
    assert first == {"width": 16, "stride": 2, "kernels": [5], "expands": [4]}
    assert second == first | {"se": True, "ibn": True, "act": "h-swish"}
    off = {"se": False, "ibn": False, "act": "relu6"}
    assert arch_from_dict(GOOD | {"stages": [STAGE | off]}) == arch_from_dict(GOOD)


def test_stem_and_last_convolution_follow_their_neighbours():
    stages = (Stage(8, 2, (Block(3, 2),)), Stage(8, 1, (Block(3, 2),), act="h-swish"))
    backbone = build_network(Arch((64, 32), 8, stages, 32)).backbone
    assert isinstance(backbone.stem.act, torch.nn.ReLU6) and isinstance(backbone.last.act, torch.nn.Hardswish)


@pytest.mark.parametrize("expand", [1, 2])
def test_ibn_on_a_map_of_one_pixel_is_refused(expand):
    """The stem leaves 2x2 pixels of 4x4; the stride-2 block's expansion sees them, that of the block behind it one."""
    one, two = (Block(3, 2),), (Block(3, expand), Block(3, 2))
    with pytest.raises(UserError, match="stage 1 has ibn on a map of one pixel at 4x4; use larger"):
        Arch((4, 4), 8, (Stage(8, 2, two, ibn=True),), 0)
    network = build_network(Arch((4, 4), 8, (Stage(8, 2, one, ibn=True), Stage(8, 1, one)), 0))
    assert network(torch.zeros(2, 3, 4, 4)).shape == (2, 8)


def test_mobilenetv2_file_is_mobilenetv2():
    named = load_arch(ARCHS / "mobilenetv2.yaml")
    assert named.arch == mobilenet_v2() and named.name == "mobilenetv2"


def test_mobilenetv2_equals_torchvision():
    ours, theirs = build_network(mobilenet_v2()).backbone.eval(), torchvision.models.mobilenet_v2().features.eval()
    shapes = [tuple(p.shape) for p in theirs.parameters()]
    assert [tuple(p.shape) for p in ours.parameters()] == shapes
    with torch.no_grad():
        for layer in theirs.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.5, 1.5)
        ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
        images = torch.randn(2, 3, 96, 48)
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-5, atol=1e-5)


GOOD = {
    "input_size": [64, 32],
    "stem": 8,
    "stages": [{"width": 8, "stride": 2, "kernels": [3], "expands": [2]}],
    "last_width": 16,
    "embedding": None,
}
STAGE = GOOD["stages"][0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({key: value for key, value in GOOD.items() if key != "stem"}, "key 'stem' is missing"),
        (GOOD | {"stems": 3}, "unknown key 'stems'"),
        (GOOD | {"rows": [[1, 8, 1, 1]]}, "either 'stages' or 'rows'"),
        (GOOD | {"kernel": 5}, "'kernel' belongs to 'rows'"),
        (GOOD | {"stem": "big"}, "stem"),
        (GOOD | {"stem": 0}, "stem"),
        (GOOD | {"last_width": [1]}, "last_width"),
        (GOOD | {"input_size": 64}, "input_size"),
        (GOOD | {"input_size": [64]}, "input_size"),
        (GOOD | {"embedding": "many"}, "embedding"),
        (GOOD | {"embedding": 0}, "embedding"),
        (GOOD | {"stages": 3}, "stages"),
        (GOOD | {"stages": [3]}, "stages"),
        (GOOD | {"stages": []}, "stage"),
        (GOOD | {"stages": [STAGE | {"sse": True}]}, "unknown key 'sse' in a stage; nearest: se"),
        (GOOD | {"stages": [STAGE | {"se": 1}]}, "se and ibn must be true or false"),
        (GOOD | {"stages": [STAGE | {"act": "h-swiss"}]}, "act h-swiss: must be one of relu6, h-swish"),
        (GOOD | {"stages": [STAGE | {"ibn": True, "expands": [1]}]}, "ibn needs a block with expand above 1"),
        (GOOD | {"stages": [STAGE | {"kernels": [3, 5]}]}, "2 kernels but 1 expands"),
        (GOOD | {"stages": [STAGE | {"kernels": ["x"]}]}, "kernels"),
        (GOOD | {"stages": [STAGE | {"kernels": [4]}]}, "kernel 4"),
        (GOOD | {"stages": [STAGE | {"expands": [0]}]}, "expand 0"),
        (GOOD | {"stages": [STAGE | {"stride": 3}]}, "stride 3"),
        (GOOD | {"stages": [{"width": 8, "stride": 1, "kernels": [3]}]}, "key 'expands' is missing"),
        ({"input_size": [64, 32], "rows": [[1, 8, 1]]}, "row"),
        ({"input_size": [64, 32], "rows": [[1, 8, 0, 1]]}, "row"),
        ({"input_size": [64, 32], "rows": [[1, 8.5, 1, 1]]}, "row"),
        ({"input_size": [64, 32], "rows": 3}, "rows"),
        ({"input_size": [64, 32], "rows": [3]}, "row"),
        ({"input_size": [64, 32], "rows": [[1, 8, 1, 1]], "stem": "big"}, "stem"),
        ({"input_size": [64, 32], "rows": [[1, 8, 1, 1]], "kernel": 4}, "kernel 4"),
    ],
)
def test_bad_archs_name_the_key(data, message):
    arch_from_dict(GOOD)
    with pytest.raises(UserError, match=message) as caught:
        arch_from_dict(data)
    assert "\n" not in str(caught.value)

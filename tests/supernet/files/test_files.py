"""Space and arch files, and the names they are found by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.engine.runs.checkpoint import read_about, save_weights
from reid.errors import UserError
from reid.models.heads import HeadConfig
from supernet.catalog import (
    Backbone,
    NetworkSpec,
    build,
    find_network,
    spec_from_dict,
    spec_to_dict,
)
from supernet.files import (
    NamedArch,
    arch_to_dict,
    known_archs,
    load_arch,
    load_space,
    mobilenet_v2,
    save_arch,
    space_from_dict,
    space_to_dict,
)
from supernet.space import Space, StageSpace
from supernet.space.genome import largest
from supernet.supernet import Supernet
from supernet.trained.checkpoint import load_supernet, save_supernet


def _ascending(low: int, high: int, step: int = 1):
    values = st.integers(low, high).map(lambda value: value * step)
    return st.sets(values, min_size=1, max_size=3).map(lambda chosen: tuple(sorted(chosen)))


ODD = st.sets(st.sampled_from([1, 3, 5, 7]), min_size=1).map(lambda chosen: tuple(sorted(chosen)))
OFF_ON = st.sampled_from([(False,), (True,), (False, True)])


@st.composite
def _stages(draw) -> StageSpace:
    expands = draw(_ascending(1, 6))
    ibn = draw(OFF_ON) if expands[-1] > 1 else (False,)
    acts = draw(st.sampled_from([("relu6",), ("h-swish",), ("relu6", "h-swish")]))
    widths, depths, kernels = draw(_ascending(1, 9, 8)), draw(_ascending(1, 3)), draw(ODD)
    return StageSpace(draw(st.sampled_from([1, 2])), widths, depths, kernels, expands, draw(OFF_ON), ibn, acts)


@st.composite
def _spaces(draw) -> Space:
    space = draw(PLAIN_SPACES)
    strides = draw(st.sampled_from([(2,), (1,), (2, 1)])) if space.last_strided is not None else (2,)
    sides = draw(st.lists(st.integers(32, space.input_size[1] - 1), max_size=2, unique=True).map(sorted))
    return replace(space, last_strides=strides, smaller_sizes=tuple((space.input_size[0], side) for side in sides))


PLAIN_SPACES = st.builds(
    Space,
    st.sampled_from(["a", "space-9"]),
    st.tuples(st.integers(64, 256), st.integers(64, 256)),
    _ascending(1, 8, 4),
    st.lists(_stages(), min_size=1, max_size=3).map(tuple),
    _ascending(0, 5, 64),
    st.none() | st.integers(1, 512),
)


@given(_spaces())
@settings(max_examples=60, deadline=None)
def test_space_round_trip(space):
    assert space_from_dict(yaml.safe_load(yaml.safe_dump(space_to_dict(space)))) == space


def test_a_file_from_before_the_further_choices_prints_as_it_did():
    assert list(SPACE) == ["name", "input_size", "stems", "stages", "last_widths", "embedding"]
    assert list(STAGE) == ["stride", "widths", "depths", "kernels", "expands"]


def test_space_file_round_trip(tmp_path):
    space = load_space("tiny")
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(space_to_dict(space)))
    assert load_space(str(path)) == space
    assert load_space("TINY") == space


def test_space_takes_its_files_name(tmp_path):
    data = space_to_dict(load_space("tiny"))
    del data["name"]
    (tmp_path / "nameless.yaml").write_text(yaml.safe_dump(data))
    assert load_space(str(tmp_path / "nameless.yaml")).name == "nameless"


def test_unknown_space_lists_the_nearest():
    with pytest.raises(UserError, match="no space is called 'tinny'; nearest: tiny, tiny-plus"):
        load_space("tinny")
    with pytest.raises(UserError, match="known: mlr-210m, mlr-210m-plus, osnet-like, osnet-like-400m, tiny, tiny-plus"):
        load_space("zzzz")
    with pytest.raises(UserError, match="none.yaml does not exist"):
        load_space("none.yaml")


SPACE = space_to_dict(load_space("tiny"))
SIZELESS = {key: value for key, value in SPACE.items() if key != "input_size"}
STAGE = SPACE["stages"][0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({key: value for key, value in SPACE.items() if key != "stems"}, "key 'stems' is missing"),
        (SPACE | {"stemms": [8]}, "unknown key 'stemms'; nearest: stems"),
        (SPACE | {3: [8]}, "unknown key '3'"),
        (SPACE | {"stems": "wide"}, "stems"),
        (SPACE | {"stems": 8}, "stems"),
        (SPACE | {"stems": [16, 8]}, "stem must be ascending"),
        (SPACE | {"input_size": [64]}, "input_size"),
        (SPACE | {"embedding": "many"}, "embedding"),
        (SPACE | {"stages": []}, "stage"),
        (SPACE | {"stages": [STAGE | {"depths": [10**9]}]}, "depths: .*of at most 100000"),
        (SPACE | {"stages": 3}, "stages"),
        (SPACE | {"stages": [3]}, "stages"),
        (SPACE | {"stages": [STAGE | {"depths": []}]}, "depth"),
        (SPACE | {"stages": [STAGE | {"depths": ["two"]}]}, "depths"),
        (SPACE | {"stages": [STAGE | {"stride": 3}]}, "stride 3"),
        (SPACE | {"stages": [STAGE | {"kernal": [3]}]}, "unknown key 'kernal' in a stage; nearest: kernels"),
        (SPACE | {"stages": [STAGE | {"strides": [2]}]}, "unknown key 'strides' in a stage; nearest: stride"),
        (SPACE | {"stages": [{"stride": 1, "widths": [8], "depths": [1], "kernels": [3]}]}, "key 'expands' is missing"),
        (SPACE | {"input_sizes": [[64, 32]]}, "either 'input_size' or 'input_sizes'"),
        (SIZELESS | {"input_sizes": []}, "input_sizes: must be a list"),
        (SIZELESS | {"input_sizes": [64, 32]}, "input_sizes: must be a list"),
        (SIZELESS | {"input_sizes": [[64, 32], [128]]}, "input_size"),
        (SIZELESS | {"input_sizes": [[64, 32], [48, 40]]}, "must ascend in height and width"),
        (SIZELESS, "key 'input_size' is missing"),
        (
            SPACE | {"last_strides": [1, 2]},
            r"choices of last_stride must be some of \[2, 1\] in this order .given: \[1, 2\]",
        ),
        (SPACE | {"stages": [STAGE | {"se": [0, 1]}]}, "se: must be a list of true and false"),
        (SPACE | {"stages": [STAGE | {"se": [True, False]}]}, r"s1.se must be some of \[false, true\] in this order"),
        (SPACE | {"stages": [STAGE | {"acts": [1]}]}, "acts: must be a list of words"),
        (SPACE | {"stages": [STAGE | {"acts": ["relu"]}]}, r"s1.act must be some of \[relu6, h-swish\]"),
        (SPACE | {"stages": [STAGE | {"ibn": [False, True]}]}, "s1.ibn: it needs a choice of expand above 1"),
        ([1, 2], "must be a mapping"),
        (None, "must be a mapping"),
    ],
)
def test_bad_space_files_name_file_and_key(tmp_path, data, message):
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(UserError, match=message) as caught:
        load_space(str(path))
    assert "bad.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_arch_file_round_trip(tmp_path):
    named = NamedArch("mine", largest(load_space("tiny")), {"score": 0.25, "seed": 3, "space": "tiny"})
    assert load_arch(save_arch(tmp_path / "mine.yaml", named)) == named
    path = str(tmp_path / "by-text.yaml")
    assert save_arch(path, named) == Path(path) and load_arch(path) == named


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("input_size: [64, 32]\nrow: []\n", "unknown key 'row'"),
        ("- 1\n", "must be a mapping"),
        ("", "must be a mapping"),
        ("stages: [\n", "not valid YAML at line 2"),
        ("input_size: [64, 32]\nrows: [[1, 8, 1, 1]]\norigin: a paper\n", "origin: must be a mapping"),
        ("input_size: [64, 32]\nrows: [[1, 8, 1000000000, 1]]\n", "arch row .*1000000000"),
    ],
)
def test_bad_arch_files_name_the_file(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        load_arch(path)
    assert "bad.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_arch_without_a_name_takes_its_files(tmp_path):
    for head in ("", "name:\n"):
        (tmp_path / "mine.yaml").write_text(f"{head}input_size: [64, 32]\nrows: [[1, 8, 1, 1]]\n")
        assert load_arch(tmp_path / "mine.yaml").name == "mine"


def test_space_without_a_name_takes_its_files(tmp_path):
    text = yaml.safe_dump(space_to_dict(load_space("tiny")))
    (tmp_path / "mine.yaml").write_text(text.replace("name: tiny", "name:"))
    assert load_space(str(tmp_path / "mine.yaml")).name == "mine"


def test_an_origin_of_any_yaml_goes_into_a_checkpoints_header(tmp_path):
    """An unquoted date is one to YAML and nothing to JSON: the training would end when its weights are written."""
    origin = "{by: hand, date: 2026-01-05, of: [2026-01-05 10:00:00, 1.5, true, null], 2026: {key: !!set {a}}}"
    path = tmp_path / "mine.yaml"
    path.write_text(f"input_size: [64, 32]\nrows: [[1, 8, 1, 1]]\norigin: {origin}\n")
    spec, _ = find_network(str(path), [], None, (9, 9), 2)
    saved = save_weights(tmp_path / "w.safetensors", torch.nn.Linear(1, 1), spec_to_dict(spec))
    told = ["2026-01-05 10:00:00", 1.5, True, None]
    assert spec_from_dict(read_about(saved)).origin == spec.origin
    assert spec.origin == {"by": "hand", "date": "2026-01-05", "of": told, "2026": {"key": ["a"]}}


def test_missing_arch_file(tmp_path):
    with pytest.raises(UserError, match="none.yaml does not exist"):
        load_arch(tmp_path / "none.yaml")


def test_archs_of_earlier_folders_come_first(tmp_path):
    mine = save_arch(tmp_path / "MobileNetV2.yaml", NamedArch("m", largest(load_space("tiny"))))
    assert known_archs([tmp_path])["mobilenetv2"] == mine
    spec, path = find_network("mobilenetv2", [tmp_path], None, (9, 9), 2)
    assert path == mine and spec.name == "m"
    spec, path = find_network("mobilenetv2", [], (128, 64), (9, 9), 2)
    assert spec.backbone == mobilenet_v2((128, 64)) and spec.input_size == (128, 64)
    spec, path = find_network(str(mine), [], None, (9, 9), 2)
    assert path == mine and spec.input_size == (64, 32)


def test_other_backbones_are_found_by_name():
    spec, path = find_network("ResNet18", [], None, (128, 64), 1)
    assert spec == NetworkSpec("resnet18", Backbone("resnet18", 1), (128, 64)) and path is None
    osnet, _ = find_network("osnet_x0_25", [], None, (128, 64), 1)
    assert osnet.backbone == Backbone("osnet_x0_25", None)
    assert find_network("resnet50", [], (64, 32), (128, 64), 2)[0].input_size == (64, 32)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mobilenet", "no network is called 'mobilenet'; nearest: mobilenetv2"),
        ("resnet19", "nearest: resnet18"),
        ("qqqq", "known: .*mobilenetv2.*resnet50"),
        ("lost.yaml", "arch file lost.yaml does not exist; name another"),
    ],
)
def test_unknown_network_lists_the_nearest(name, message):
    with pytest.raises(UserError, match=message):
        find_network(name, [], None, (64, 32), 2)


def test_a_name_of_timms_is_told_with_its_prefix():
    pytest.importorskip("timm")
    with pytest.raises(
        UserError, match="no network is called 'lcnet_050' here, but timm has one; give timm:lcnet_050$"
    ):
        find_network("lcnet_050", [], None, (64, 32), 2)


@pytest.mark.parametrize(
    "spec",
    [
        NetworkSpec("tiny largest", largest(load_space("tiny")), (64, 32), HeadConfig(pool="gem"), {"seed": 1}),
        NetworkSpec("resnet18", Backbone("resnet18", 1), (64, 32), HeadConfig(embedding=16)),
    ],
)
def test_spec_round_trip(spec):
    assert spec_from_dict(spec_to_dict(spec)) == spec
    assert build(spec).feature_dim == (spec.head.embedding or spec.backbone.feature_dim)


HEADER = {"kind": "arch", "name": "x", "head": {}}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({}, "key 'kind' is missing"),
        ({"kind": "supernet"}, "kind 'supernet' is not a network"),
        ({"kind": "arch", "name": "x"}, "key 'head' is missing"),
        (HEADER, "key 'arch' is missing"),
        (HEADER | {"head": {"neck": "x"}}, "header: head: neck: .*given: 'x'"),
        (HEADER | {"arch": {**arch_to_dict(mobilenet_v2()), "q": 1}}, "unknown key 'q'"),
    ],
)
def test_headers_of_other_files_are_refused(header, message):
    with pytest.raises(UserError, match=message):
        spec_from_dict(header)


def test_supernet_checkpoint(tmp_path, toy_space, plus_space):
    for space in (plus_space, toy_space):
        supernet = Supernet(space)
        loaded = load_supernet(save_supernet(tmp_path / "s.safetensors", supernet), torch.device("cpu"))
        assert loaded.space == space
        state = loaded.state_dict()
        assert all(torch.equal(state[key], value) for key, value in supernet.state_dict().items())
    spec = NetworkSpec("x", largest(toy_space), toy_space.input_size)
    other = save_weights(tmp_path / "other.safetensors", build(spec), spec_to_dict(spec))
    with pytest.raises(UserError, match="kind 'arch', not a supernet"):
        load_supernet(other, torch.device("cpu"))


def test_a_supernet_whose_training_diverged_is_refused(tmp_path, toy_space):
    supernet = Supernet(toy_space)
    name, weight = next(iter(supernet.named_parameters()))
    with torch.no_grad():
        weight.view(-1)[0] = float("nan")
    path = save_supernet(tmp_path / "s.safetensors", supernet)
    with pytest.raises(UserError, match=f"contains NaN or infinite weights .{name}.: its training diverged"):
        load_supernet(path, torch.device("cpu"))


@pytest.mark.parametrize("name", ["a/b", "../up", "a\\b", ".hidden", "a\nb", "x" * 151, "王" * 51])
def test_an_arch_is_not_called_what_no_file_can_be(tmp_path, name):
    """Its trainings' folders are called after it, and would be elsewhere, or could not be made, hours later."""
    path = save_arch(tmp_path / "mine.yaml", NamedArch(name, mobilenet_v2()))
    with pytest.raises(UserError, match=r"^arch file .*mine.yaml: name '.*': must be usable as a file name") as told:
        load_arch(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["random 210M-plus 1", "王 (é)", "x" * 150])
def test_an_arch_may_be_called_anything_else(tmp_path, name):
    assert load_arch(save_arch(tmp_path / "mine.yaml", NamedArch(name, mobilenet_v2()))).name == name

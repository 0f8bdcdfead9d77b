"""Configuration files: bases, overrides, types, and errors that name the key."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field
from pydantic.dataclasses import dataclass

from reid.config import STRICT, build_config, config_to_dict, load_config, merge, parse_override, read_merged
from reid.data.datasets.registry import DatasetConfig
from reid.engine.recipe import Recipe
from reid.errors import UserError
from supernet.files import load_arch, load_space
from tools.jobs.experiment import Experiment

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@dataclass(frozen=True, config=STRICT)
class Inner:
    rate: float = 0.1
    steps: tuple[int, ...] = ()


@dataclass(frozen=True, config=STRICT)
class Named:
    name: str
    count: int = 1


@dataclass(frozen=True, config=STRICT)
class Checked:
    rate: int = 0

    def __post_init__(self) -> None:
        if self.rate > 1:
            raise UserError(f"rate {self.rate}: at most 1")


@dataclass(frozen=True, config=STRICT)
class Outer:
    name: str = "x"
    count: int = 1
    inner: Inner = Inner()
    maybe: Inner | None = None
    several: tuple[Inner, ...] = ()
    pair: tuple[int, int] = (1, 2)
    limit: str | int | None = None
    files: str | Annotated[tuple[str, ...], Field(min_length=1)] = ""
    named: Named = Named("x")
    checked: Checked = Checked()
    flag: bool | Literal["auto"] = "auto"


def _load(tmp_path, text: str, *overrides: str) -> Outer:
    (tmp_path / "c.yaml").write_text(text)
    return load_config(Outer, tmp_path / "c.yaml", overrides)


def test_values_and_defaults(tmp_path):
    assert _load(tmp_path, "count: 3\ninner: {steps: [1, 2]}\n") == Outer(count=3, inner=Inner(steps=(1, 2)))
    assert _load(tmp_path, "") == Outer()


def test_round_trip():
    config = Outer("y", 2, Inner(0.5, (1,)), Inner())
    assert build_config(Outer, config_to_dict(config), "here") == config
    assert config_to_dict(config)["inner"] == {"rate": 0.5, "steps": [1]}


def test_bases_chain_and_are_relative_to_their_file(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "root.yaml").write_text("name: root\ncount: 7\ninner: {rate: 1, steps: [1, 2]}\n")
    (tmp_path / "deep" / "middle.yaml").write_text("base: root.yaml\nname: middle\ninner: {rate: 2}\n")
    (tmp_path / "part.yaml").write_text("rate: 5\nsteps: [9]\n")
    text = "base: deep/middle.yaml\ninner: {steps: [3]}\nmaybe: {base: part.yaml, rate: 6}\n"
    wanted = Outer("middle", 7, Inner(2.0, (3,)), Inner(6.0, (9,)))
    assert _load(tmp_path, text) == wanted


def test_bases_in_lists(tmp_path):
    (tmp_path / "part.yaml").write_text("rate: 5\nsteps: [9]\n")
    wanted = Outer(several=(Inner(5.0, (1,)), Inner(6.0)))
    assert _load(tmp_path, "several: [{base: part.yaml, steps: [1]}, {rate: 6}]\n") == wanted


def test_a_word_for_yes_is_no_number(tmp_path):
    for text, place in (
        ("count: yes", "count"),
        ("inner: {rate: on}", "inner.rate"),
        ("inner: {steps: [1, true]}", "inner.steps.1"),
    ):
        with pytest.raises(UserError, match=f"{place}: must be a number .given: True"):
            _load(tmp_path, text)


def test_a_base_of_ours_is_found_from_any_folder(tmp_path, monkeypatch):
    """As an installed tool's ``--config configs/demo.yaml`` is; what lies beside the file itself comes first."""
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "shop.yaml"
    own.write_text("base: configs/demo.yaml\nspace: mine\nretrain: {base: configs/recipes/mlr.yaml}\n")
    recipe = {"retrain": read_merged(CONFIGS / "recipes" / "mlr.yaml")}
    assert read_merged(own) == merge(read_merged(CONFIGS / "demo.yaml"), {"space": "mine"} | recipe)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "demo.yaml").write_text("space: theirs\nnumber: 1\n")
    own.write_text("base: configs/demo.yaml\nspace: mine\n")
    assert read_merged(own) == {"space": "mine", "number": 1}


@pytest.mark.parametrize(
    ("text", "overrides", "begins"),
    [
        ("count: many", ("name=y",), "{file}: count: "),
        ("count: 1", ("name=y", "count=many", "inner.rate=2"), "--set count=many: count: "),
        ("count: many", ("count=2", "inner.rte=3"), "--set inner.rte=3: unknown key 'inner.rte'; nearest: rate"),
        ("{}", ("inner={rate: x}", "name=z"), "--set inner={{rate: x}}: inner.rate: "),
        ("count: many", ("count=few",), "--set count=few: count: "),
    ],
)
def test_an_error_names_the_override_or_the_file_that_it_is_from(tmp_path, text, overrides, begins):
    with pytest.raises(UserError) as caught:
        _load(tmp_path, text, *overrides)
    assert str(caught.value).startswith(begins.format(file=tmp_path / "c.yaml"))


def test_override_comes_last(tmp_path):
    (tmp_path / "b.yaml").write_text("count: 1\ninner: {rate: 1}\n")
    config = _load(tmp_path, "base: b.yaml\ncount: 2\n", "count=3", "inner.steps=[4, 5]", "count=6", "name=a=b")
    assert config == Outer("a=b", 6, Inner(1.0, (4, 5)))


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("a=1", {"a": 1}),
        ("a.b.c=x", {"a": {"b": {"c": "x"}}}),
        ("a=", {"a": None}),
        ("a=null", {"a": None}),
        ("a=[1, 2]", {"a": [1, 2]}),
        ("a={b: 1.5}", {"a": {"b": 1.5}}),
    ],
)
def test_overrides(text, parsed):
    assert parse_override(text) == parsed


@pytest.mark.parametrize("text", ["a", "=3", "a=[1", "a=: :"])
def test_bad_overrides(text):
    with pytest.raises(UserError, match="--set") as caught:
        parse_override(text)
    assert text in str(caught.value) and "\n" not in str(caught.value)


def test_scientific_numbers_are_numbers(tmp_path):
    """YAML 1.1 reads 5e-4 as text."""
    assert _load(tmp_path, "inner: {rate: 5e-4}\n").inner.rate == 5e-4
    assert _load(tmp_path, "", "inner.rate=1e-3").inner.rate == 1e-3


def test_merge_replaces_what_is_no_mapping():
    base = {"a": {"b": 1, "c": 2}, "d": [1, 2]}
    assert merge(base, {"a": {"b": 3}, "d": [9]}) == {"a": {"b": 3, "c": 2}, "d": [9]}
    assert merge(base, {"a": 5})["a"] == 5 and merge({"a": 5}, {"a": {"b": 1}}) == {"a": {"b": 1}}
    assert base == {"a": {"b": 1, "c": 2}, "d": [1, 2]}


SHOP = "dataset: {name: folder, root: shop, pattern: 'c(?P<camid>.)'}"


@pytest.mark.parametrize(
    ("overrides", "left"),
    [
        (("data.dataset={name: csv}",), {"name": "csv"}),
        (("data.dataset.root=shop.csv", "data.dataset.name=csv"), {"name": "csv", "root": Path("shop.csv")}),
        (("data.dataset.name=csv", "data.dataset.root=shop.csv"), {"name": "csv", "root": Path("shop.csv")}),
        (("data.dataset={name: cuhk01, split: 3}", "data.dataset={name: csv}"), {"name": "csv"}),
        (("data.dataset.root=other",), {"name": "folder", "root": Path("other"), "pattern": "c(?P<camid>.)"}),
        (("data.dataset={name: folder, seed: 3}",), {"name": "folder", "root": Path("shop"), "seed": 3}),
    ],
)
def test_another_data_set_has_none_of_the_options_of_the_one_before(tmp_path, overrides, left):
    (tmp_path / "shop.yaml").write_text(f"base: configs/demo.yaml\ndata: {{{SHOP}}}\n")
    config = load_config(Experiment, tmp_path / "shop.yaml", overrides).data
    usual = load_config(Experiment, CONFIGS / "demo.yaml").data
    assert config.dataset == DatasetConfig(**{"pattern": config.dataset.pattern, **left})
    assert (config.dataset.pattern is None) == (left["name"] == "csv")
    assert dataclasses.replace(config, dataset=None) == usual  # whatever data.name is


def test_a_file_with_another_data_set_than_its_bases(tmp_path):
    (tmp_path / "shop.yaml").write_text(f"data: {{holdout_identities: 3, {SHOP}}}\n")
    (tmp_path / "table.yaml").write_text("base: shop.yaml\ndata: {dataset: {name: csv, root: a.csv}}\n")
    merged = {"data": {"holdout_identities": 3, "dataset": {"name": "csv", "root": "a.csv"}}}
    assert read_merged(tmp_path / "table.yaml") == merged


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cuont: 1\n", "unknown key 'cuont'; nearest: count"),
        ("inner: {rat: 1}\n", "unknown key 'inner.rat'; nearest: rate"),
        ("several: [{rate: 1}, {rat: 1}]\n", "unknown key 'several.1.rat'; nearest: rate"),
        ("maybe: {ratte: 1}\n", "unknown key 'maybe.ratte'; nearest: rate"),
        ("zzzzzz: 1\n", "unknown key 'zzzzzz'; known: name, count, inner, maybe, several, "),
        ("count: many\n", r"count: .*integer.*given: 'many'"),
        ("count: 1.5\n", "count: .*integer"),
        ("inner: {steps: [1, x]}\n", "inner.steps.1: .*integer"),
        ("inner: 3\n", r"inner: must be a mapping of its keys: rate, steps.* \(given: 3\)"),
        ("maybe: 3\n", r"maybe: must be a mapping of its keys: rate, .* \(given: 3\)"),
        ("several: 3\n", r"several: input should be a list \(given: 3\)"),
        ("pair: [1]\n", "pair: the list has no value number 2$"),
        ("pair: [1, 2, 3]\n", "pair: input should be a list of at most 2 values "),
        ("limit: {a: 1}\n", r"limit: input should be a valid string or a valid integer \(given: \{'a': 1\}\)"),
        ("limit: [1]\n", "c.yaml: limit: "),
        ("files: [1]\n", "files: input should be a valid string or a list of at least 1 value "),
        ("flag: perhaps\n", "flag: input should be true or false or 'auto' "),
        ("flag: null\n", "flag: input should be true or false or 'auto' "),
        ("named: {nme: x}\n", "unknown key 'named.nme'; nearest: name$"),
        ("named: {count: 1}\n", "named.name: field required$"),
        ("checked: {rate: 2}\n", "c.yaml: rate 2: at most 1$"),
        ("3: 4\n", "3"),
        ("- 1\n", "must be a mapping"),
        ("a: [\n", "not valid YAML"),
        ("base: none.yaml\n", "none.yaml does not exist; name a file as seen from "),
        ("base: configs/none.yaml\n", "configs/none.yaml does not exist; .*one of ours"),
        ("base: archs\n", "archs does not exist"),
        ("inner: {rate: 1}\ninner: {steps: [1]}\n", "line 2: key 'inner' occurs twice"),
        ("base: 3\n", "base"),
        ("base: c.yaml\n", "base"),
        ("inner: {base: c.yaml}\n", "base"),
    ],
)
def test_bad_files_are_named_in_one_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as caught:
        _load(tmp_path, text)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_unknown_key_in_an_override(tmp_path):
    with pytest.raises(UserError, match="unknown key 'inner.rte'; nearest: rate"):
        _load(tmp_path, "", "inner.rte=1")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(UserError, match="none.yaml does not exist"):
        load_config(Outer, tmp_path / "none.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        load_config(Outer, tmp_path)


# The files that are shipped.


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_experiments_load(path):
    config = load_config(Experiment, path)
    assert build_config(Experiment, config_to_dict(config), "again") == config
    space = load_space(config.space)
    assert space.stages and dataclasses.replace(config) == config


@pytest.mark.parametrize("path", sorted((CONFIGS / "recipes").glob("*.yaml")), ids=lambda path: path.name)
def test_recipes_load(path):
    assert load_config(Recipe, path).epochs > 0


@pytest.mark.parametrize("path", sorted((CONFIGS / "spaces").glob("*.yaml")), ids=lambda path: path.name)
def test_spaces_load(path):
    assert load_space(str(path)) == load_space(path.stem) and load_space(path.stem).name == path.stem


@pytest.mark.parametrize("path", sorted((CONFIGS / "archs").glob("*.yaml")), ids=lambda path: path.name)
def test_archs_load(path):
    assert load_arch(path).name.lower() == path.stem.lower()


def test_demo_inherits_what_it_does_not_change():
    """The recipe of the supernet goes from recipes/standard.yaml through market1501.yaml to demo.yaml."""
    demo, full = (load_config(Experiment, CONFIGS / f"{name}.yaml") for name in ("demo", "market1501"))
    standard = load_config(Recipe, CONFIGS / "recipes" / "standard.yaml")
    assert demo.supernet.recipe.optimizer == full.supernet.recipe.optimizer == standard.optimizer
    assert demo.supernet.recipe.clip_gradient == full.supernet.recipe.clip_gradient == 5.0
    assert demo.supernet.recipe.schedule == dataclasses.replace(standard.schedule, warmup=3)
    assert full.retrain == standard and demo.data.name == "synthetic" and demo.search.flops != full.search.flops


def test_an_override_reaches_the_augmentation():
    overrides = ((), ("retrain.augment.grayscale=0.1",))
    usual, changed = (load_config(Experiment, CONFIGS / "demo.yaml", over).retrain.augment for over in overrides)
    assert usual.grayscale == 0 and changed == dataclasses.replace(usual, grayscale=0.1)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("searh.trials=3", "unknown key 'searh'; nearest: search"),
        ("search.trails=3", "unknown key 'search.trails'; nearest: trials"),
        ("retrain.optimizer.momentm=0.5", "unknown key 'retrain.optimizer.momentm'; nearest: momentum"),
        ("data.synthetic.cameas=3", "unknown key 'data.synthetic.cameas'; nearest: cameras"),
        ("data.synthetic.cameras=1", "cameras=1"),
        ("data.name=mars", "data.name: .*'auto'.*given: 'mars'"),
        ("retrain.augment.grayscale=2", "retrain.augment.grayscale: .*less than or equal to 1"),
        ("retrain.epochs=0", "retrain.epochs: .*greater than or equal to 1"),
        ("retrain.losses.classification.smoothing=1", "retrain.losses.classification.smoothing: .*less than 1"),
        (
            "retrain.losses.smoothing=0.1",
            "unknown key 'retrain.losses.smoothing'; it belongs under retrain.losses.classification.smoothing, "
            "supernet.recipe.losses.classification.smoothing$",
        ),
        ("head.pool=gem", "unknown key 'head'; it belongs under retrain.head, supernet.recipe.head, "),
        ("retrain.flip=0", "unknown key 'retrain.flip'; it belongs under retrain.augment.flip, supernet"),
        ("retrain.losses.circle=1", "retrain.losses.circle: must be a mapping of its keys: weight, margin, scale "),
        ("search.sample_size=1000", "sample_size 1000 must not exceed population"),
        ("search.name_prefix=.x", r"search.name_prefix: string should match pattern '\^\[A-Za-z0-9\]"),
        ("input_size=[64]", "input_size"),
        ("last_stride=3", "last_stride"),
    ],
)
def test_experiment_errors(override, message):
    with pytest.raises(UserError, match=message) as caught:
        load_config(Experiment, CONFIGS / "demo.yaml", [override])
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_what_is_no_mapping():
    with pytest.raises(UserError, match="file.json: must be a mapping of keys to values"):
        build_config(Outer, [1], "file.json")


def test_merged_file_has_no_base_left():
    def keys(data):
        for key, value in data.items():
            yield key
            if isinstance(value, dict):
                yield from keys(value)

    for path in CONFIGS.glob("*.yaml"):
        assert "base" not in set(keys(read_merged(path)))

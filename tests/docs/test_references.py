"""docs/networks.md, search.md and data.md name what there is, and their examples load; links between pages lead on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from reid.config import build_config, config_to_dict
from reid.errors import UserError
from reid.models.backbones import BACKBONES, build_backbone
from reid.models.backbones.timm_backbone import TIMM_MODELS
from reid.models.network import count_parameters
from search.config import SearchConfig
from search.costs import CostTable, flops_range, network_counts
from supernet.arch import Arch, Block, Stage
from supernet.files import ARCHS, SPACES, arch_to_dict, load_arch, load_space, space_to_dict
from supernet.network import build_network
from supernet.omni.arch import OmniBlock, OmniStage
from supernet.space import describe
from supernet.space.genome import smallest
from tools.jobs.experiment import DataConfig, load_experiment

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
SIZE = (256, 128)


def text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    """From a heading to the next one of its level or above (a single # may be a comment in an example)."""
    level = heading.partition(" ")[0]
    _, _, after = text(page).partition(f"\n{heading}\n")
    assert after, heading
    return re.split(rf"^#{{2,{len(level)}}} ", after, maxsplit=1, flags=re.M)[0]


def rows(part: str) -> dict[str, list[str]]:
    """The cells behind the first one of every table row that begins with code, by that code."""
    lines = re.findall(r"^\| `([^`]+)` \| (.*) \|$", part, re.M)
    return {first: [cell.strip() for cell in rest.split(" | ")] for first, rest in lines}


def examples(part: str) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", part, re.M | re.S)


def leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """The keys of a resolved configuration with what they hold; an empty list is a value."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from leaves(below, f"{name}.{key}" if name else key)
    else:
        yield name, value


# ---- networks


TABLE = rows(section("networks.md", "## Backbones"))


def test_every_backbone_is_there():
    archs = {path.stem for path in ARCHS.glob("*.yaml")}
    assert set(TABLE) == set(BACKBONES) | archs


@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbones_figures_are_its_own(name):
    if name in TIMM_MODELS:
        pytest.importorskip("timm")
    channels, at_two, at_one, parameters, *_ = TABLE[name]
    told = {2: at_two, 1: at_one}
    kind = BACKBONES[name]
    assert {stride for stride, flops in told.items() if flops != "-"} == set(kind.last_strides)
    for stride in kind.last_strides:
        if float(told[stride]) > 300:  # the count of a large one takes a second
            continue
        assert f"{network_counts(build_backbone(name, stride), SIZE).flops / 1e6:.1f}" == told[stride]
    with torch.device("meta"):  # large ones take a second to draw their weights
        network = build_backbone(name)
    assert (str(network.feature_width), f"{count_parameters(network) / 1e6:.3f}") == (channels, parameters)


@pytest.mark.parametrize("path", sorted(ARCHS.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_arch_files_figures_are_its_own(path):
    channels, flops, parameters, *_ = TABLE[path.stem]
    network = build_network(load_arch(path).arch).backbone
    counted = f"{network_counts(network, SIZE).flops / 1e6:.1f}", f"{count_parameters(network) / 1e6:.3f}"
    assert (str(network.feature_width), *counted) == (channels, flops, parameters)


def test_the_examples_of_arch_files_load(tmp_path):
    stages, short, omni = (yaml.safe_load(each) for each in examples(section("networks.md", "## Arch files")))
    assert "stages" in stages and "rows" in short
    for example, width in ((stages, 640), (short, 640), (omni, 256)):
        path = tmp_path / "example.yaml"
        path.write_text(yaml.safe_dump(example))
        named = load_arch(path)
        assert named.name == example["name"] and build_network(named.arch).backbone.feature_width == width
    counted = (
        network_counts(each, SIZE) for each in (build_network(named.arch).backbone, build_backbone("osnet_x0_5"))
    )
    assert len(set(counted)) == 1, "the last example is OSNet x0.5"


def test_every_key_of_an_arch_file_is_there():
    everything = Stage(8, 1, (Block(3, 6),), se=True, ibn=True, act="h-swish")
    omni = OmniStage(8, 1, (OmniBlock(8, 4, 3),), transition=True)
    written = arch_to_dict(Arch(SIZE, 8, (everything, omni), 0, stem_kernel=7, stem_pool=True))
    keys = {"name", "origin", "rows", "kernel", *written, *(key for stage in written["stages"] for key in stage)}
    assert set(rows(section("networks.md", "## Arch files"))) == keys


# ---- spaces, search, data


def test_the_examples_of_spaces_load_and_are_what_their_comments_say(tmp_path):
    found = examples(section("search.md", "### Writing a space"))
    for name, example in zip(("my-space.yaml", "my-osnet.yaml"), found, strict=True):
        path = tmp_path / name
        path.write_text(example)
        space = load_space(str(path))
        smallest, largest = (f"{flops / 1e6:.1f}M" for flops in flops_range(space, CostTable()))
        archs = describe(space).rpartition(", ")[2]
        assert example.splitlines()[0] == f"# {name}: {smallest} to {largest} FLOPs, {archs}"


def test_every_space_is_there_as_it_is():
    told, table = rows(section("search.md", "## The supernet")), CostTable()
    for path in SPACES.glob("*.yaml"):
        space = load_space(path.stem)
        _, flops, archs = told[path.stem]
        assert describe(space).endswith(f"{archs} archs")
        if table.flops(smallest(space)) > 2e6:
            low, high = (f"{each / 1e6:.0f}M" for each in flops_range(space, table))
            assert flops.startswith(f"{low} to {high} ")


def test_every_key_of_a_space_is_there():
    spaces = [space_to_dict(load_space(name)) for name in ("tiny-plus", "osnet-like")]
    stages = {key for space in spaces for stage in space["stages"] for key in stage}
    assert set(rows(section("search.md", "### Writing a space"))) == {key for space in spaces for key in space} | stages


@pytest.mark.parametrize(
    "page, heading, config",
    [
        ("search.md", "### The keys of `search`", SearchConfig),
        ("data.md", "## The keys of `data`", DataConfig),
    ],
)
def test_every_key_is_there_with_its_default(page, heading, config):
    told = {key: yaml.safe_load(cells[0].strip("`")) for key, cells in rows(section(page, heading)).items()}
    assert told == dict(leaves(config_to_dict(build_config(config, {}, "test"))))


def test_the_examples_of_own_data_are_configurations(tmp_path):
    found = examples(section("data.md", "## Your own data"))
    names = [build_config(DataConfig, yaml.safe_load(each)["data"], "test").dataset.name for each in found]
    assert names == ["folder", "csv", "folder"]
    whole = tmp_path / "shop.yaml"
    whole.write_text(found[2])
    experiment = load_experiment(whole)
    assert experiment.data.dataset.root == Path("/data/shop") and experiment.input_size == (128, 64)
    with pytest.raises(UserError, match="name"):
        build_config(DataConfig, yaml.safe_load(found[0])["data"]["dataset"], "test")


# ---- links


def slug(heading: str) -> str:
    """GitHub's anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in (each for each in links if not each.startswith("http")):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.M)
            assert anchor in map(slug, headings), link

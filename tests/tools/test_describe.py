"""``tools/describe.py``: blocks of a network, networks side by side, a space."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

import pytest

from reid.engine.runs.checkpoint import save_weights
from reid.models.network import count_parameters
from search.costs import network_counts
from search.flops_words import format_flops
from search.latency import measure_networks
from supernet.catalog import Backbone, NetworkSpec, build, spec_to_dict
from supernet.files import NamedArch, arch_from_rows, save_arch
from supernet.network import build_network
from tools.jobs.describe import find_described, told_apart

SPACE = """
input_size: [16, 8]
stems: [4, 6]
stages:
  - {stride: 1, widths: [4, 6], depths: [1], kernels: [3], expands: [1]}
  - {stride: 2, widths: [6, 8], depths: [1, 2], kernels: [3, 5], expands: [2], se: [false, true]}
last_widths: [8]
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    arch = arch_from_rows(((1, 8, 1, 1), (6, 16, 2, 2)), input_size=(64, 32), last_width=32)
    return arch, save_arch(tmp_path_factory.mktemp("archs") / "small.yaml", NamedArch("small", arch))


@pytest.fixture
def describe(call):
    return lambda *arguments: call("describe", *arguments, tiny=False)


def test_blocks_of_one_network_and_its_picture(describe, small, tmp_path):
    arch, file = small
    printed = describe(file, "--out", tmp_path).out
    network = build_network(arch)
    counts = network_counts(network, arch.input_size)
    assert re.search(r"stage 2, block 1 +inverted residual: kernel 3, expand 6, relu6 +16 x 16x8 ", printed)
    shares = [float(share) for share in re.findall(r"([\d.]+) %", printed)]
    assert sum(shares) == pytest.approx(100, abs=0.05 * len(shares))
    told = [format_flops(count) for count in (counts.flops, counts.mlr, counts.conv_linear)]
    assert [*told, f"{count_parameters(network) / 1e6:.2f}M", "32"] == printed.splitlines()[-2].split()[2:]
    assert (tmp_path / "small.png").stat().st_size > 1000


def test_networks_side_by_side_at_another_size(describe, small, tmp_path):
    done = describe(small[1], "osnet_x0_25", "--size", "48x24", "--out", tmp_path)
    lines = done.out.splitlines()
    assert [line.split()[:2] for line in lines[1:3]] == [["small", "48x24"], ["osnet_x0_25", "48x24"]]
    assert lines[3:] == [f"picture: {tmp_path / 'small.png'}"], "one network alone is told of block by block"


@pytest.fixture
def trained(tmp_path):
    """Weights of a ResNet-18 that was trained at 64x32 with a last stride of 1."""
    spec = NetworkSpec("mine", Backbone("resnet18", 1), (64, 32))
    return save_weights(tmp_path / "mine.safetensors", build(spec), spec_to_dict(spec))


def test_size_is_of_trained_networks_too(describe, small, trained, tmp_path):
    arch, file = small
    spec = NetworkSpec("kept", arch, arch.input_size)
    kept = save_weights(tmp_path / "kept.safetensors", build(spec), spec_to_dict(spec))
    printed = describe(kept, file, trained, "--size", "48x24", "--out", tmp_path).out
    weights, named, resnet = (line.split()[1:] for line in printed.splitlines()[1:4])
    assert weights == named and named[0] == resnet[0] == "48x24"
    expected = network_counts(build(NetworkSpec("", Backbone("resnet18", 1), (48, 24))), (48, 24))
    assert resnet[1] == format_flops(expected.flops)


def test_last_stride_of_a_trained_network_stays(describe, refused, trained, tmp_path):
    words = r"--last-stride 2: .*mine.safetensors was trained with a last stride of 1; .* name the backbone, resnet18"
    refused(describe(trained, "--last-stride", 2, "--out", tmp_path), words)
    assert "mine" in describe(trained, "--last-stride", 1, "--out", tmp_path).out


def test_networks_of_the_zoo_by_their_names():
    found = find_described("osnet-X0.42-market1501", [], (48, 24), (256, 128))
    assert found.backbone == Backbone("osnet_x0_42") and found.input_size == (48, 24)


def test_the_picture_of_a_name_with_slashes_stays_in_the_folder(describe, small, tmp_path):
    spec = NetworkSpec("../ours/v2", small[0], small[0].input_size)
    file = save_weights(tmp_path / "ours.safetensors", build(spec), spec_to_dict(spec))
    assert describe(file, "--out", tmp_path / "out").code == 0
    assert [path.name for path in tmp_path.rglob("*.png")] == ["..-ours-v2.png"]
    assert (tmp_path / "out" / "..-ours-v2.png").is_file()


def test_networks_of_one_name_keep_a_picture_each(describe, small, tmp_path):
    arch, file = small
    other = save_arch(tmp_path / "other" / "small.yaml", NamedArch("small", replace(arch, last_width=16)))
    printed = describe(file, other, "--out", tmp_path).out
    assert [line.split()[0] for line in printed.splitlines()[1:3]] == ["small", "small-2"]
    assert (tmp_path / "small.png").read_bytes() != (tmp_path / "small-2.png").read_bytes()


def test_numbers_go_round_names_that_are_there():
    specs = [NetworkSpec(name, Backbone("resnet18"), (64, 32)) for name in ("a", "a", "a-2", "a", "b")]
    assert [spec.name for spec in told_apart(specs)] == ["a", "a-3", "a-2", "a-4", "b"]


def test_latency_of_networks(describe, small, tmp_path, monkeypatch):
    few = partial(measure_networks, rounds=2, seconds=0.0)
    monkeypatch.setattr("tools.jobs.describe.measure_networks", few)
    lines = describe(small[1], "--target", "torch-cpu-1t", "--out", tmp_path).out.splitlines()
    assert lines[-3].endswith("torch-cpu-1t") and re.search(r" [\d.]+ ?ms$", lines[-2])


def test_space_by_its_choices_and_costs(describe, tmp_path):
    (tmp_path / "little.yaml").write_text(SPACE)
    printed = describe("--space", tmp_path / "little.yaml").out
    assert "10^2.0 archs" in printed and re.search(r"stage 2, kernel, each block +3, 5\n", printed)
    assert re.search(r"stage 2, se +no, yes\n", printed) and "(smallest arch)" in printed
    assert re.search(r"parameters +half of 1,000 random archs have at most 0.00M, 90 % have", printed)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name either networks, or a space"),
        (["mobilenetv2", "--space", "tiny"], "name either networks, or a space with --space NAME$"),
        (["mobilnetv2"], "nearest: mobilenetv2"),
        (["mobilenetv2", "--target", "onnx"], "onnx-cpu-1t"),
        (
            ["--space", "tiny", "--target", "torch-cpu-1t"],
            "--target torch-cpu-1t: is only for networks, not of a space",
        ),
        (["--space", "tiny", "--last-stride", 1], "--last-stride 1: is only for networks, not of a space"),
        (["mobilenetv2", "--seed", 3], "--seed 3: is only for a space, not of networks; leave it out"),
        (["--space", "tiny", "--seed", -1], "--seed -1: must be a whole number from 0 to"),
        (
            ["osnet_x0_25", "--last-stride", 1],
            "--last-stride 1: it cannot be chosen for any of these networks; leave it out",
        ),
        (["nope.yaml"], "arch file nope.yaml does not exist"),
        ([__file__], r"test_describe.py is neither an arch file \(.yaml\) nor a file of weights"),
    ],
)
def test_refusals(describe, refused, arguments, words, tmp_path):
    refused(describe(*arguments, "--out", tmp_path), words)


@pytest.mark.parametrize("size", ["99999x99999", "256", "0x8", "256x2049"])
def test_sizes_that_are_none(describe, size):
    done = describe("mobilenetv2", "--size", size)
    assert done.code == 2 and f"'{size}': " in done.err.splitlines()[-1] and "256x128" in done.err

"""A search for another machine, from the kit to the found archs; its program runs where nothing else of this is."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from reid.engine.machine.device import seeded
from search.history import read_candidates
from search.latency import LatencyError, open_table
from search.latency.check import LatencyRow
from search.latency.kit.write import Kit
from supernet.files import load_arch, load_space
from supernet.supernet import Supernet
from supernet.trained.checkpoint import save_supernet
from tools.jobs.experiment import CONFIGS, load_experiment
from tools.jobs.latency.job import LatencyRun
from tools.jobs.latency.kit import next_search

SPACE = """
input_size: [16, 8]
stems: [8]
stages:
  - {stride: 1, widths: [8, 16], depths: [1], kernels: [3], expands: [1]}
  - {stride: 2, widths: [8, 16], depths: [1], kernels: [1, 3], expands: [2]}
last_widths: [0]
"""


def test_search_for_another_machine(call, refused, data_root, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    file, folder, out = tmp_path / "small.yaml", tmp_path / "kit", tmp_path / "out"
    file.write_text(SPACE)
    own = ("latency", "--space", file, "--out", out)
    search = ("search", "--supernet", tmp_path, "--out", tmp_path / "search", "--set", f"space={file}")
    search += ("--target", "pi5", "--latency", "10s", "--strategy", "pareto", "--front", "latency")
    kit = rf"--space {file} --size 64x32 --kit kit"
    refused(call(*search), rf"'pi5' is unknown; known: onnx-cpu-1t.*{kit}")

    done = call(*own[:3], "--size", "64x32", "--networks", 4, "--kit", folder, tiny=False)
    assert (
        done.code == 0 and f"next: copy it to the machine, and run there: python3 {folder.name}/measure.py" in done.out
    )
    assert (
        f"then, back here: python tools/latency.py --space {file} --size 64x32 --import times.json --as NAME"
        in done.out
    )
    alone = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    program = folder / "measure.py", "--rounds", "2", "--seconds", "0"
    options = {"cwd": tmp_path, "env": alone, "capture_output": True, "text": True, "timeout": 120}
    device = subprocess.run([sys.executable, *program], **options)
    assert device.returncode == 0 and "networks measured: copy" in device.stdout, device.stderr

    times = folder / "times.json"
    done = call(*own, "--import", times, "--as", "pi5", tiny=False)
    machine = json.loads(times.read_text())["machine"]
    assert done.code == 0 and f"{machine['processor']}, onnxruntime {machine['onnxruntime']}" in done.out, done.err
    assert f", Python {machine['python']}, numpy {machine['numpy']}\n" in done.out
    assert "on 4 whole networks" in done.out and "the minimum over 2 rounds or more" in done.out
    assert (out / "latency_error.png").read_bytes().startswith(b"\x89PNG")
    told = json.loads((out / "latency.json").read_text())
    size = r"'search.cost_input_size=\[64,32\]'"  # of the kit; the file's own is another
    command = rf"python tools/search.py --set space={file} --set {size} --latency (.*)ms --target pi5$"
    following = re.search(rf"^next, .* meet: {command}", done.out, re.MULTILINE)
    half = statistics.median(row["measured_ms"] for row in told["rows"])
    assert told["target"] == "pi5" and float(following[1]) == pytest.approx(half, rel=0.01)

    space = load_space(str(file)).at((64, 32))
    with seeded(3):
        save_supernet(tmp_path / "supernet.safetensors", Supernet(space))
    done = call(*search)
    assert done.code == 0, done.err
    assert "predicted, not measured: pi5 is another machine" in done.out and "(measured" not in done.out
    table = open_table(space, "pi5", data_root / "data" / "cache" / "latency")
    candidates = read_candidates(tmp_path / "search" / "candidates.jsonl")
    assert len(candidates) > 3 and [each.latency_ms for each in candidates] == [
        table.latency(each.arch) for each in candidates
    ]
    summary = json.loads((tmp_path / "search" / "search.json").read_text())
    found = load_arch(tmp_path / "search" / summary["best"][0]["file"])
    for origin in (summary["run_origin"], found.origin):
        assert origin["latency_machine"] == table.device.words and len(origin["latency_table_sha256"]) == 64
    assert found.origin["target"] == "pi5" and "measured_ms" not in found.origin

    elsewhere = ("--out", tmp_path / "elsewhere", "--set", "search.cost_input_size=[32, 16]")
    refused(call(*search, *elsewhere), "pi5 has no latencies of space small at 32x16; make a kit: ")
    refused(
        call("latency", "--space", file, "--size", "32x16", "--import", times, "--as", "pi6", tiny=False),
        "--size 32x16: .* was measured at 64x32; leave the option out",
    )
    again = json.loads(times.read_text())
    again["times"][next(iter(again["times"]))][0] += 0.001
    times.write_text(json.dumps(again))
    other = ("latency", "--space", file, "--import", times, "--as", "pi5", "--out")
    refused(call(*own, "--import", times, "--as", "pi5", tiny=False), "out already holds a latency table's error")
    refused(call(*other, tmp_path / "other", tiny=False), "pi5 already has a table of space small, with other times")
    assert not (tmp_path / "other").exists()
    assert call(*other, out, "--replace", tiny=False).code == 0
    assert call(*other, tmp_path / "other", tiny=False).code == 0  # the times that it has
    refused(call(*search, "--resume"), "started with another origin")
    file.write_text(SPACE.replace("last_widths: [0]", "last_widths: [0, 32]"))
    kit = rf"python tools/latency.py --space {file} --size 64x32 --kit"
    made = rf"parts of space small were not measured on pi5; make a kit: {kit}"
    refused(call(*other, out, "--replace", tiny=False), made)  # by its file: no space is called small


@pytest.mark.parametrize(
    ("config", "called", "size", "told"),
    [
        ("market1501", None, None, []),
        ("market1501", "mlr-210m", (128, 64), ["space=mlr-210m", "search.cost_input_size=[128,64]"]),
        ("market1501", "tiny-plus", None, ["space=tiny-plus"]),
        ("market1501", "tiny-plus", (64, 32), ["space=tiny-plus", "input_size=[64,32]"]),  # the larger one alone
        ("market1501-cpu", None, (256, 128), []),
        ("market1501-cpu", None, (128, 64), ["search.cost_input_size=[128,64]"]),
        ("demo", None, (80, 40), []),
        ("demo", None, (64, 32), ["search.cost_input_size=[64,32]"]),
        ("demo", "tiny-plus", None, ["space=tiny-plus", "search.cost_input_size=[64,32]"]),
    ],
)
def test_the_search_that_is_told_looks_for_the_table_that_there_is(config, called, size, told):
    file = CONFIGS / f"{config}.yaml"
    measured = load_space(called or load_experiment(file).space).at(size)
    rows = tuple(LatencyRow(None, 0, 0.0, ms) for ms in (3.0, 0.2123, 0.1))
    run = LatencyRun(Path(), measured, LatencyError(0, 0, 0, 1, rows), Path(), Path())
    words = shlex.split(next_search(file, called, run, "pi5"))
    assert words[-4:] == ["--latency", "0.212ms", "--target", "pi5"]
    assert [word for before, word in itertools.pairwise(words) if before == "--set"] == told
    # What a search makes of it.
    experiment = load_experiment(Path(words[words.index("--config") + 1]) if "--config" in words else file, told)
    space = load_space(experiment.space).at(experiment.input_size)
    assert not (space.smaller_sizes and experiment.search.cost_input_size)
    assert space.at(experiment.search.cost_input_size).input_size == measured.input_size


def test_a_kit_in_a_folder_with_spaces_is_called_so_that_a_shell_takes_it(call, monkeypatch, tmp_path):
    monkeypatch.setattr("tools.jobs.latency.kit.write_kit", lambda space, target, folder, **_: Kit(folder, 1, 1, 1, 1))
    done = call("latency", "--kit", tmp_path / "a kit", tiny=False)
    assert "there: python3 'a kit/measure.py'\n" in done.out, done.err


@pytest.mark.parametrize(
    ("options", "then"),
    [
        ((), ""),
        (("--config", "configs/demo.yaml"), "--config configs/demo.yaml "),
        (("--space", "tiny"), "--space tiny "),
    ],
)
def test_what_is_to_follow_a_kit_names_the_same_space(call, monkeypatch, tmp_path, options, then):
    monkeypatch.setattr("tools.jobs.latency.kit.write_kit", lambda space, target, folder, **_: Kit(folder, 1, 1, 1, 1))
    done = call("latency", *options, "--kit", tmp_path / "kit", tiny=False)
    assert f"then, back here: python tools/latency.py {then}--import times.json --as NAME\n" in done.out, done.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--import", "times.json"), "--import FILE and --as NAME belong together"),
        (("--as", "pi5"), "--import FILE and --as NAME belong together"),
        (("--import", "times.json", "--as", "NAME"), "--as NAME: replace NAME by a name for the machine,"),
        (("--import", "no-times.json", "--as", "pi5"), "file no-times.json does not exist"),
        (("--kit", "kit", "--target", "torch-cuda-b1"), "a kit runs in ONNX Runtime on a CPU"),
        (("--kit", "kit", "--out", "out"), "--out: a kit has no picture and no report; leave it out"),
        (("--kit", "kit", "--replace"), "--replace: a kit has no picture"),
        (("--import", "t.json", "--as", "pi5", "--networks", 5), "--networks: the kit of t.json sets it; leave it out"),
        (("--import", "t.json", "--as", "pi5", "--target", "onnx-cpu-2t"), "--target: the kit of t.json sets it"),
        (("--import", "t.json", "--as", "pi5", "--seed", 1), "--seed: the kit of t.json sets it"),
        (("--kit", "kit", "--seed", -1), "--seed -1: must be a whole number from 0 to"),
        (("--space", "tiny", "--kit", "kit", "--config", "none.yaml"), "file none.yaml does not exist"),
    ],
)
def test_refusals(call, refused, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    refused(call("latency", *options, tiny=False), message)
    assert not list(tmp_path.iterdir())

"""Bad input: exit code 2, one line that names the thing and the cure, nothing overwritten."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import tools.cli
from reid.data.synthetic import SyntheticConfig, make_synthetic
from reid.errors import UserError
from search.costs import whole_network_flops
from supernet.files import load_space
from supernet.space.genome import largest, smallest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("train_supernet", "search", "retrain", "evaluate", "compare", "pipeline", "rank", "gain")
COMMON = ("--config", "--data", "--out", "--resume", "--seed", "--device", "--set")


@pytest.mark.parametrize("name", TOOLS)
def test_help_explains_every_option(call, name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = call(name, "--help", tiny=False)
    assert done.code == 0 and done.err == ""
    for option in COMMON if name != "compare" else ("--out",):
        assert re.search(rf"^  (--replace, )?{option}( [\w.=]+)?\s+\S+ \S+ .*\w", done.out, re.MULTILINE), option


def test_a_reader_who_has_seen_enough_is_no_error():
    """``tools/results.py --status | head`` ends as other commands do there, without a traceback."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "tools/results.py", "--plan", "configs/results/rehearsal.yaml", "--status"]
    done = subprocess.run(command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(write)
    assert done.returncode == 141 and done.stderr == ""


def test_tool_as_a_user_runs_it(tmp_path):
    """A process of its own: ``tools/search.py`` must not stand in for the package ``search``."""
    command = [sys.executable, "tools/pipeline.py", "--device", "nonsense", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "error: --device nonsense: there is no such device on this machine; use auto or cpu\n"
    assert list(tmp_path.iterdir()) == []


def test_default_configuration_from_any_folder(tmp_path):
    """As typed, without --config, and not from the checkout."""
    command = [sys.executable, str(ROOT / "tools" / "search.py"), "--flops", "1M", "--device", "cpu"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    wanted = r"error: FLOPs limit 1M is below the smallest arch: space mlr-210m spans 7\d.\dM to 45\d.\dM at 256x128"
    assert re.fullmatch(wanted + r"; .*\n", done.stderr), done.stderr
    assert list(tmp_path.iterdir()) == []


TRAINING = ("train_supernet", ("retrain", "--arch", "resnet18"), "pipeline", "search")


@pytest.mark.parametrize("tool", TRAINING, ids=lambda tool: tool if isinstance(tool, str) else tool[0])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "searh.trials=3"), "unknown key 'searh'; nearest: search"),
        (("--set", "retrain.epochs=many"), "retrain.epochs: .*given: 'many'"),
        (("--set", "retrain.epochs"), "--set retrain.epochs: must have the form a.b=value"),
        (("--set", "space=tinny"), "no space is called 'tinny'; nearest: tiny"),
        (("--config", "configs/lost.yaml"), "configs/lost.yaml does not exist"),
        (("--device", "nonsense"), "--device nonsense: there is no such device on this machine"),
        (("--out", __file__), "is a file; name a folder"),
    ],
)
def test_bad_options(call, tmp_path, tool, arguments, message, refused):
    name, *more = [tool] if isinstance(tool, str) else tool
    refused(call(name, *more, "--out", tmp_path / "out", *arguments), message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["search", "pipeline"])
def test_limit_outside_the_space(call, tmp_path, name, refused):
    done = call(name, "--flops", "100K", "--out", tmp_path / "out")
    refused(done, r"FLOPs limit 100K is below the smallest arch: space tiny spans [\d.]+M to [\d.]+M at 64x32")
    low, high = map(float, re.search(r"spans ([\d.]+)M to ([\d.]+)M", done.err).groups())
    space = load_space("tiny")
    assert 0 <= low - whole_network_flops(smallest(space)) / 1e6 < 0.1  # rounded up: a limit of it is enough
    assert high == pytest.approx(whole_network_flops(largest(space)) / 1e6, abs=0.05)
    assert not (tmp_path / "out").exists()


def test_search_without_a_supernet(call, tmp_path, refused):
    done = call("search", "--supernet", tmp_path / "none", "--out", tmp_path / "out")
    refused(done, "no trained supernet at .*none/supernet.safetensors; run python tools/train_supernet.py first")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("mobilenetv3", "no network is called 'mobilenetv3'; nearest: mobilenetv2"),
        ("none.yaml", "arch file none.yaml does not exist"),
    ],
)
def test_unknown_arch(call, tmp_path, arch, message, refused):
    refused(call("retrain", "--arch", arch, "--out", tmp_path / "out"), message)
    assert list(tmp_path.iterdir()) == []


def test_damaged_arch_file(call, tmp_path, refused):
    (tmp_path / "mine.yaml").write_text("input_size: [64, 32]\nstem: wide\nstages: []\nlast_width: 8\n")
    done = call("retrain", "--arch", tmp_path / "mine.yaml", "--out", tmp_path / "out")
    refused(done, "arch file .*mine.yaml: .*stage|stem")
    assert not (tmp_path / "out").exists()


def test_checkpoint_that_is_not_there(call, tmp_path, refused):
    done = call("evaluate", tmp_path / "none.safetensors", "--out", tmp_path / "out")
    refused(done, "none.safetensors does not exist")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arch", "folder"),
    [
        (None, "runs/evaluate-run"),
        ("MLR-6.5M-A", "runs/evaluate-run-MLR-6.5M-A"),
        ("archs/MLR-6.5M-A.yaml", "runs/evaluate-run-MLR-6.5M-A"),
    ],
)
def test_default_folder_of_an_evaluation(load_tool, monkeypatch, arch, folder):
    main, jobs = load_tool("evaluate"), []
    monkeypatch.setitem(main.__globals__, "evaluate", lambda job, *rest: jobs.append(job) or job.out)
    main(["some/run/last.safetensors", "--device", "cpu", *(["--arch", arch] if arch else [])])
    assert jobs[0].out == Path(folder)


def test_compare_without_results(call, tmp_path, refused):
    refused(call("compare", tmp_path / "none", "--out", tmp_path / "out", tiny=False), "none does not exist")
    refused(call("compare", tmp_path, "--out", tmp_path / "out", tiny=False), "has no result.json")
    (tmp_path / "result.json").write_text("{")
    refused(call("compare", tmp_path, "--out", tmp_path / "out", tiny=False), "result.json is not valid JSON")
    assert not (tmp_path / "out").exists()


# Data.


@pytest.fixture(scope="module")
def market(tmp_path_factory) -> Path:
    """A set in Market-1501's layout that has not its counts."""
    config = SyntheticConfig(
        train_identities=16, test_identities=4, distractors=2, junk=1, images_per_camera=2, cameras=2
    )
    return make_synthetic(tmp_path_factory.mktemp("market") / "Market-1501-v15.09.15", config, progress=False)


@pytest.mark.parametrize("tool", TRAINING[:2], ids=["train_supernet", "retrain"])
def test_missing_data(call, tmp_path, tool, refused):
    name, *more = [tool] if isinstance(tool, str) else tool
    out, market = ("--out", tmp_path / "out"), ("--set", "data.name=market1501")
    refused(call(name, *more, *out, *market), "Market-1501 was not found .*--data")
    refused(call(name, *more, *out, *market, "--data", tmp_path / "none"), "data folder .*none does not exist")
    refused(call(name, *more, *out, *market, "--data", tmp_path), "contains no Market-1501")
    refused(call(name, *more, *out, "--data", tmp_path), "--data .*asks for the synthetic set.*data.name=auto")
    assert list(tmp_path.iterdir()) == []


def test_half_extracted_data(call, tmp_path, refused):
    data = tmp_path / "data" / "Market-1501-v15.09.15"
    (data / "bounding_box_train").mkdir(parents=True)
    for number in range(3):
        picture = Image.new("RGB", (64, 128))
        picture.save(data / "bounding_box_train" / f"000{number + 1}_c1s1_00000{number}_00.jpg")
    arguments = ("--data", tmp_path / "data", "--set", "data.name=auto", "--out", tmp_path / "out")
    refused(call("train_supernet", *arguments), "folder .*query is missing; extract the whole Market-1501 archive")
    for folder in ("query", "bounding_box_test"):
        shutil.copytree(data / "bounding_box_train", data / folder)
    done = call("train_supernet", *arguments)
    refused(done, "bounding_box_train: found 3 images.*expected 12936 images")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"x" * 900])
def test_unreadable_image(call, market, tmp_path, damage, refused):
    data = shutil.copytree(market, tmp_path / "data")
    image = sorted((data / "bounding_box_train").iterdir())[5]
    image.write_bytes(damage(image.read_bytes()))
    arguments = ("--data", data, "--set", "data.name=auto", "--out", tmp_path / "out")
    refused(call("train_supernet", *arguments), f"image .*{image.name} is unreadable or cut off")
    refused(call("retrain", "--arch", "resnet18", *arguments), f"image .*{image.name} is unreadable or cut off")
    assert not (tmp_path / "out").exists(), "a run that cannot begin leaves no folder behind"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.holdout_identities=16", "16 identities to hold out .* at least 2 others .* market1501 has 16 beside"),
        ("data.train_identities=15", "6 identities to hold out .* 15 to train on"),
        (
            "supernet.recipe.identities=11",
            r"a batch of p=11 identities cannot be drawn from 10 identities; .*16 besides those of its test; "
            "data.holdout_identities and data.train_identities set which",
        ),
    ],
)
def test_more_identities_than_there_are(call, market, tmp_path, setting, message, refused):
    """After the error the same folder can be used with a better setting."""
    data = ("--data", market, "--set", "data.name=auto")
    done = call("train_supernet", *data, "--set", setting, "--out", tmp_path / "out")
    refused(done, message)
    assert not (tmp_path / "out").exists()


def test_data_variable_and_synthetic_marker(call, market, tmp_path, monkeypatch):
    """$REID_DATA names the folder above the set; one that we made has not to have the official counts."""
    monkeypatch.setenv("REID_DATA", str(market.parent))
    done = call("train_supernet", "--set", "data.name=auto", "--set", "input_size=[32, 16]", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    assert "market1501: 10 identities" in done.out and "SYNTHETIC" not in done.out


def test_synthetic_set_is_used_plainly_where_there_is_no_other(call, tmp_path):
    done = call("train_supernet", "--set", "data.name=auto", "--set", "input_size=[32, 16]", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    assert "no Market-1501 under data/ or $REID_DATA: using the SYNTHETIC set" in done.out
    for word in ("data", "network", "FLOPs", "recipe", "device"):
        assert re.search(rf"^  {word} +\S", done.out, re.MULTILINE)
    assert "next: python tools/search.py" in done.out


# The frame that every tool runs in.


def test_interrupt_and_other_exceptions(capsys):
    def raising(error):
        def main(arguments):
            raise error

        return main

    with pytest.raises(SystemExit) as end:
        tools.cli.run_tool(raising(KeyboardInterrupt()))
    assert end.value.code == 130 and "--resume to continue" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        tools.cli.run_tool(raising(UserError("thing x: do y")))
    assert end.value.code == 2 and capsys.readouterr().err == "error: thing x: do y\n"
    with pytest.raises(ZeroDivisionError):  # a fault of the program's own is not dressed up
        tools.cli.run_tool(raising(ZeroDivisionError()))

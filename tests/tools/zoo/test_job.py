"""The tool of the zoo: a network that was trained here for an epoch is put there, told of and run."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from evaluation.comparison.row import read_result, write_result
from evaluation.protocols import Protocol
from reid.engine.runs.checkpoint import read_about
from reid.errors import UserError
from reid.files import read_json, write_json
from reid.models.network import count_parameters
from search.costs import whole_network_flops
from supernet.files import NamedArch, arch_from_rows, load_arch, save_arch
from supernet.trained import load_backbone
from supernet.trained.checkpoint import read_spec
from supernet.trained.zoo import find_entry
from tools.jobs.evaluate.checkpoints import row_name
from tools.jobs.evaluate.job import Request, evaluate
from tools.jobs.training.retrain import retrain
from tools.jobs.training.wanted import Retraining
from tools.jobs.zoo.job import add

ARCH = arch_from_rows([[1, 8, 1, 1], [3, 8, 1, 2]], input_size=(64, 32), stem=8, last_width=16)


@pytest.fixture(scope="module")
def runs(make_job, tmp_path_factory) -> Path:
    """``run``, a training's folder, and ``flip``, its evaluation with the flip test."""
    root = tmp_path_factory.mktemp("runs")
    file = save_arch(root / "Small.yaml", NamedArch("Small", ARCH, {"source": "drawn by hand"}))
    retrain(make_job(root / "run"), Retraining(str(file), root / "none"))
    flip = Request(Protocol(flip=True, verification=False), calibrate="none")
    evaluate(make_job(root / "flip"), root / "run", None, root / "none", flip)
    return root


@pytest.fixture
def zoo(runs, tmp_path) -> Path:
    add(runs / "run", "Small-A", runs / "flip", folder=tmp_path / "zoo")
    return tmp_path / "zoo"


def test_an_entry_says_what_the_run_said(runs, zoo):
    entry, row = find_entry("Small-A", zoo), read_result(runs / "run")
    assert (entry.mAP, entry.rank1, entry.epochs, entry.train_set) == (row.mAP, row.rank1, 1, row.train_set)
    flip = read_json(runs / "flip" / "score.json")
    assert (entry.flip_mAP, entry.flip_rank1) == (flip["mAP"], flip["rank1"])
    network = load_backbone("Small-A", zoo)
    assert entry.flops == whole_network_flops(ARCH) == row.flops and entry.flops_mlr > entry.flops
    assert entry.parameters == count_parameters(network) and entry.feature_dim == 16
    assert entry.protocol.startswith(row.test_set) and entry.licence.startswith("no restriction by its data")
    assert (zoo / entry.weights).read_bytes() == (runs / "run" / "last.safetensors").read_bytes()
    named = load_arch(zoo / entry.arch)
    assert named.name == "Small-A" and named.arch == ARCH and named.origin == {"source": "drawn by hand"}


def test_features_of_images(zoo, call, tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (2, 128, 64, 3), dtype=np.uint8)
    values[1, ..., 0] //= 8  # of another colour: so short a training hardly tells noise from noise
    files = [tmp_path / name for name in ("a.png", "b.png", "again.png")]
    for file, pixels in zip(files, (*values, values[0]), strict=True):
        Image.fromarray(pixels).save(file)
    done = call("zoo", "Small-A", "--image", *files, "--folder", zoo, tiny=False)
    first, *lines = done.out.splitlines()
    assert first == "features: (3, 16), of norm 1"
    alike = np.array([[float(value) for value in line.split()[:3]] for line in lines])
    assert np.allclose(alike, alike.T, atol=2e-3) and np.allclose(np.diag(alike), 1, atol=2e-3)
    assert alike[0, 2] == pytest.approx(1, abs=2e-3) and alike[0, 1] < 0.999
    assert [line.split()[3] for line in lines] == ["a.png", "b.png", "again.png"]
    # By hand: the middle of the network is torch's own, the images are normalised by ImageNet's figures.
    pixels = torch.from_numpy(values).permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    small = torch.nn.functional.interpolate(pixels, (64, 32), mode="bilinear", antialias=True)
    vectors = load_backbone("Small-A", zoo)((small - mean[:, None, None]) / std[:, None, None])
    assert torch.cosine_similarity(vectors[0], vectors[1], dim=0).item() == pytest.approx(alike[0, 1], abs=0.02)


def test_the_list(zoo, call, tmp_path):
    done = call("zoo", "--folder", zoo, tiny=False)
    header, line = done.out.splitlines()
    assert header.split()[:4] == ["name", "input", "features", "FLOPs"] and line.split()[:3] == [
        "Small-A",
        "64x32",
        "16",
    ]
    told = call("zoo", "small-a", "--folder", zoo, tiny=False).out
    for field in ("sha256", "licence", "command", "commit", "train_set", "protocol"):
        assert any(each.startswith(field) for each in told.splitlines())
    empty = call("zoo", "--folder", tmp_path, tiny=False)
    assert empty.code == 0 and "no weights yet" in empty.out


def test_a_table_calls_it_by_its_name_here(runs, zoo):
    """Two of one arch, or one beside a training of one's own, would else be rows of one name."""
    spec = read_spec(zoo / "Small-A.safetensors")
    assert row_name(zoo / "Small-A.safetensors", spec) == "Small-A" != spec.name
    assert row_name(runs / "run" / "last.safetensors", spec) == spec.name


def test_adding_by_the_tool(runs, call, refused, tmp_path):
    arguments = ("zoo", "add", runs / "run", "--name", "Small-A", "--folder", tmp_path)
    done = call(*arguments, tiny=False)
    assert done.code == 0, done.err
    refused(
        call(*arguments, tiny=False), "--name Small-A: is taken; add --replace to replace that network, or give another"
    )
    assert call(*arguments, "--replace", "--flip", runs / "flip", tiny=False).code == 0
    (entry,) = json.loads((tmp_path / "index.json").read_text())["networks"]
    assert entry["flip_mAP"] is not None and str(runs) not in json.dumps(entry)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Smal-A",), "no weights are called 'Smal-A'; nearest: Small-A"),
        (("add",), "add: give the run folder and --name NAME"),
        (("add", "none", "--name", "x"), "run folder none does not exist"),
        (("Small-A", "run"), "run: there is one argument too many; to add a run, .* add .*run"),
        (("Small-A", "--image", "none.jpg"), "--image none.jpg: there is no such file"),
    ],
)
def test_refusals(zoo, call, refused, arguments, message):
    refused(call("zoo", *arguments, "--folder", zoo, tiny=False), message)


def test_a_run_without_its_score_is_told_the_cure(runs, tmp_path):
    run = shutil.copytree(runs / "run", tmp_path / "run")
    (run / "score.json").unlink()
    with pytest.raises(
        UserError, match="run has no score.json; name a run that was scored, or repeat the command that"
    ):
        add(run, "Small-A", folder=tmp_path / "zoo")


@pytest.mark.parametrize("name", ["a b", "", "../x", "ünï", ".x", "add"])
def test_names_that_are_none(runs, call, refused, tmp_path, name):
    refused(
        call("zoo", "add", runs / "run", "--name", name, "--folder", tmp_path / "zoo", tiny=False),
        "--name .*must consist of" if name else "--name '': the value is empty",
    )
    assert not (tmp_path / "zoo").exists()


@pytest.mark.parametrize("name", ["x.safetensors", "x-1.onnx", "imagenet"])
def test_names_that_lead_elsewhere_are_refused(runs, call, refused, tmp_path, name):
    """Wherever a network is named, ``x.onnx`` is taken for a file, and so nobody could name it."""
    done = call("zoo", "add", runs / "run", "--name", name, "--folder", tmp_path / "zoo", tiny=False)
    refused(done, f"--name {name}: has another meaning.*give another")


def test_weights_that_cannot_be_loaded_take_no_sound_ones_place(runs, zoo, call, refused, tmp_path):
    broken = shutil.copytree(runs / "run", tmp_path / "broken")
    state = load_file(broken / "last.safetensors")
    name = next(name for name in state if name.endswith("weight"))
    about = {"about": json.dumps(read_about(broken / "last.safetensors"))}
    again = ("zoo", "add", broken, "--name", "Small-A", "--replace", "--folder", zoo)
    save_file({**state, name: state[name] * torch.nan}, broken / "last.safetensors", about)
    refused(call(*again, tiny=False), f"contains NaN or infinite weights .{name}")
    save_file({key: state[key] for key in state if key != name}, broken / "last.safetensors", about)
    refused(call(*again, tiny=False), f"is of another network: {name} is missing in it")
    load_backbone("Small-A", zoo)


def test_files_of_what_is_replaced_do_not_stay(runs, zoo):
    before = sorted(path.name for path in zoo.iterdir())
    add(runs / "run", "small-a", replace=True, folder=zoo)
    after = sorted(path.name for path in zoo.iterdir())
    assert before == ["Small-A.safetensors", "Small-A.yaml", "index.json"]
    assert after == ["index.json", "small-a.safetensors", "small-a.yaml"]
    load_backbone("Small-A", zoo)


def test_an_option_that_says_nothing_is_refused(runs, zoo, call, refused):
    for option in (("--name", "x"), ("--flip", "x"), ("--replace",)):
        refused(call("zoo", "Small-A", *option, "--folder", zoo, tiny=False), f"{option[0]} is only for adding weights")
    refused(call("zoo", "--image", "x.png", "--folder", zoo, tiny=False), "--image: name the network too")
    refused(
        call("zoo", "add", runs / "run", "--name", "x", "--image", "x.png", "--folder", zoo, tiny=False),
        "--image: name the network too:",
    )


@pytest.mark.parametrize("text", ["", "{", "[]", '{"networks": {}}', '{"networks": [3]}'])
def test_a_damaged_index_is_not_to_be_removed(runs, zoo, call, refused, text):
    (zoo / "index.json").write_text(text)
    for arguments in ((), ("Small-A",), ("add", runs / "run", "--name", "x")):
        done = call("zoo", *arguments, "--folder", zoo, tiny=False)
        refused(done, "index.json is not an index of weights; restore it from the repository")
    assert (zoo / "index.json").read_text() == text and not (zoo / "x.safetensors").exists()


def test_what_is_no_training_is_not_added(runs, call, refused, tmp_path):
    arguments = ("--name", "x", "--folder", tmp_path / "zoo")
    refused(
        call("zoo", "add", runs / "flip", *arguments, tiny=False), "flip is not a finished training; name a run folder"
    )
    row = read_result(runs / "run")
    write_result(tmp_path / "mean", dataclasses.replace(row, mAP_spread=0.1, rank1_spread=0.1, seeds=(0, 1)))
    refused(call("zoo", "add", tmp_path / "mean", *arguments, tiny=False), "mean is the mean of 2 trainings; name one")


def test_paths_of_this_machine_are_not_noted_down(runs, tmp_path):
    run = shutil.copytree(runs / "run", tmp_path / "run")
    score = read_json(run / "score.json") | {"command": f"python tools/retrain.py --arch {run}/a.yaml --out {run}"}
    write_json(run / "score.json", score)
    assert add(run, "x", folder=tmp_path / "zoo").command == "python tools/retrain.py --arch a.yaml --out run"


def test_wrong_flip_runs_and_large_files_are_refused(runs, call, refused, tmp_path, monkeypatch):
    arguments = ("zoo", "add", runs / "run", "--name", "x", "--folder", tmp_path / "zoo")
    refused(call(*arguments, "--flip", runs / "run", tiny=False), "is not an evaluation of .*run with the flip test")
    monkeypatch.setattr("tools.jobs.zoo.job.LARGEST", 1000)
    refused(call(*arguments, tiny=False), "the zoo takes files of at most")
    assert not (tmp_path / "zoo").exists()


@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        ("about", "data", "msmt17", "its data set is msmt17, but that of .*run is synthetic; give an evaluation"),
        ("about", "input_size", [32, 16], r"its input size is \[32, 16\], but that of .*run is \[64, 32\]"),
        ("protocol", "metric", "euclidean", "its metric is euclidean, but that of .*run is cosine"),
        ("protocol", "precision", "bf16", "its precision is bf16, but that of .*run is fp32"),
        (None, "queries", 1, "its number of queries is 1, "),
    ],
)
def test_a_flip_run_that_differs_by_more_is_refused(runs, call, refused, tmp_path, part, key, value, message):
    score = read_json(runs / "flip" / "score.json")
    (score if part is None else score[part])[key] = value
    write_json(tmp_path / "flip" / "score.json", score)
    arguments = ("--name", "x", "--flip", tmp_path / "flip", "--folder", tmp_path / "zoo")
    refused(call("zoo", "add", runs / "run", *arguments, tiny=False), f"--flip .*flip: {message}")
    assert not (tmp_path / "zoo").exists()


def test_what_leaves_the_score_alone_may_differ(runs, tmp_path):
    """The evaluating tool makes a ROC besides, a training does not; a score of before says less of itself."""
    score = read_json(runs / "flip" / "score.json")
    score["protocol"] |= {"verification": True, "rerank": {"k1": 20, "k2": 6, "weight": 0.3}}
    write_json(tmp_path / "flip" / "score.json", score)
    run = shutil.copytree(runs / "run", tmp_path / "run")
    own = read_json(run / "score.json")
    write_json(run / "score.json", {key: own[key] for key in own if key not in ("about", "protocol")})
    assert add(run, "x", tmp_path / "flip", folder=tmp_path / "zoo").flip_mAP == score["mAP"]


def test_the_table_of_the_docs(call, zoo, refused):
    done = call("zoo", "--markdown", "--folder", zoo, tiny=False)
    entry = find_entry("Small-A", zoo)
    head, line, row = done.out.splitlines()
    assert done.code == 0 and head.count("|") == line.count("|") == row.count("|")
    size = f"{(zoo / entry.weights).stat().st_size / 1e6:.1f}"
    for cell in ("`Small-A`", f"{100 * entry.mAP:.1f}", size, f"`{entry.sha256[:12]}`", entry.licence):
        assert f"| {cell} |" in row
    refused(call("zoo", "Small-A", "--markdown", "--folder", zoo, tiny=False), "--markdown: is for the whole zoo")

"""``tools/average.py``: the mean of trainings' weights as a network of its own."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from evaluation.comparison.row import read_result, write_result
from evaluation.features.extraction import evaluate_network
from reid.engine.bn_calibration import calibrate, calibration_images
from reid.engine.runs.checkpoint import save_weights
from reid.files import read_yaml, write_text
from supernet.catalog import spec_to_dict
from supernet.trained.checkpoint import load_network
from tools.jobs.data import open_source, retrain_data
from tools.jobs.data import test_data as official
from tools.jobs.runs.provenance import sha256
from tools.jobs.training import members
from tools.jobs.training.average import alike, began_with, trained_on
from tools.jobs.training.retrain import retrain
from tools.jobs.training.wanted import Retraining

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(make_job, small_arch, tmp_path_factory) -> tuple[Path, Path]:
    """Two trainings of one network, by two seeds."""
    root = tmp_path_factory.mktemp("trained")
    runs = [retrain(make_job(root / f"s{seed}", seed=seed), Retraining(str(small_arch), root)) for seed in (0, 1)]
    return runs[0], runs[1]


def test_is_the_mean_with_statistics_of_its_own(call, trained, make_job, tmp_path):
    out = tmp_path / "mean"
    done = call("average", *trained, "--out", out)
    assert done.code == 0, done.err
    (one, spec), (two, _), (mean, named) = (load_network(run / "last.safetensors", CPU) for run in (*trained, out))
    assert named == spec
    with torch.no_grad():
        for own, left, right in zip(mean.parameters(), one.parameters(), two.parameters(), strict=True):
            torch.testing.assert_close(own, (left + right) / 2)
            left.copy_(own)
    experiment = make_job(tmp_path).experiment
    source = open_source(experiment.data, None)
    images = retrain_data(source, experiment.data)
    calibrate(one, calibration_images(images.images, spec.input_size, experiment.retrain.augment, 2048, 64, 0))
    for (name, own), wanted in zip(mean.named_buffers(), one.buffers(), strict=True):
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(own, wanted)
    row = read_result(out)
    assert row.mAP == pytest.approx(evaluate_network(mean, *official(source), spec.input_size, "cpu").mAP, abs=1e-6)
    assert row.name == f"{spec.name} (mean of 2)" and row.epochs == 1 and row.recipe == read_result(trained[0]).recipe
    assert row.train_set == read_result(trained[0]).train_set
    assert row.notes == (f"mean of the weights of {trained[0]} (1 epoch, seed 0), {trained[1]} (1 epoch, seed 1)",)
    config = read_yaml(out / "config.yaml")
    assert [each["sha256"] for each in config["averaged"]] == [sha256(run / "last.safetensors") for run in trained]
    assert (out / "report.html").is_file() and str(out / "last.safetensors") in done.out
    # It is a run for other tools, on its data.
    again = call("evaluate", out, "--out", tmp_path / "again", tiny=False)
    assert again.code == 0 and "data: as " in again.out, again.err
    assert json.loads((tmp_path / "again/score.json").read_text())["mAP"] == pytest.approx(row.mAP, abs=1e-6)


def test_of_one_network_twice_over_it_is_that_network(call, trained, tmp_path):
    """Copies have its parameters: what differs is how BN's statistics were measured."""
    copy = tmp_path / "copy"
    network, spec = load_network(trained[0] / "last.safetensors", CPU)
    save_weights(copy / "last.safetensors", network, spec_to_dict(spec))
    write_text(copy / "config.yaml", (trained[0] / "config.yaml").read_text())
    write_result(copy, dataclasses.replace(read_result(trained[0]), run=str(copy)))
    assert call("average", trained[0], copy, "--out", tmp_path / "mean").code == 0
    mean, _ = load_network(tmp_path / "mean/last.safetensors", CPU)
    assert all(torch.equal(own, wanted) for own, wanted in zip(mean.parameters(), network.parameters(), strict=True))


def test_one_of_the_zoo_beside_a_training(call, trained, tmp_path, monkeypatch):
    """As with the network that it went on from: on the training's data, and what was begun with is told."""
    path = tmp_path / "Z.safetensors"
    path.symlink_to(trained[1] / "last.safetensors")
    entry = SimpleNamespace(name="Z-net", epochs=7, seed=3)
    monkeypatch.setattr(members, "find_entry", lambda name: {"z-net": entry}[name])
    monkeypatch.setattr(members, "zoo_weights", lambda name: path)
    done = call("average", "z-net", trained[0], "--out", tmp_path / "mean")
    assert done.code == 0, done.err
    (mean, _), *both = (load_network(run / "last.safetensors", CPU) for run in (tmp_path / "mean", *trained))
    first = next(iter(mean.parameters()))
    torch.testing.assert_close(first, sum(next(iter(network.parameters())) for network, _ in both) / 2)
    row, config = read_result(tmp_path / "mean"), read_yaml(tmp_path / "mean/config.yaml")
    assert row.epochs == 7 and row.notes[0].startswith("mean of the weights of Z-net (7 epochs, seed 3), ")
    assert config["weights"] == "Z-net" and config["dataset"] == read_yaml(trained[0] / "config.yaml")["dataset"]


def test_what_was_fixed_in_all_keeps_its_statistics(trained):
    """Another training of the head alone has the same backbone, BN's statistics with it."""
    both = members.open_members(trained)
    one, two = (member.network for member in both)
    layers = {name for name, layer in one.named_modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)}
    assert layers and not any(one.get_submodule(name) in alike(both) for name in layers)
    two.backbone.load_state_dict(one.backbone.state_dict())
    kept = {name for name in layers if one.get_submodule(name) in alike(both)}
    assert kept == {name for name in layers if name.startswith("backbone.")}


def test_what_all_were_trained_on_and_taught_by_is_told(call, trained, make_job, small_arch, tmp_path):
    """Also of the second one: the mean knows of its teacher, and is no row beside networks that had none."""
    taught = f"retrain.losses.distillation={{teacher: {trained[1]}, similarity: 1}}"
    student = retrain(make_job(tmp_path / "student", taught), Retraining(str(small_arch), tmp_path))
    assert call("average", trained[0], student, "--out", tmp_path / "mean", tiny=False).code == 0
    untaught, words = (read_result(run).train_set for run in (trained[0], student))
    assert read_result(tmp_path / "mean").train_set == f"{untaught}; {words}" and words.endswith(f"by {trained[1]}")
    one, two = read_yaml(tmp_path / "mean/config.yaml")["averaged"]
    assert two["teacher"] == str(trained[1]) and two["teacher_sha256"] == sha256(trained[1] / "last.safetensors")
    assert one["teacher"] is None and "teacher_sha256" not in one


def test_one_of_the_zoo_is_told_unless_a_training_went_on_from_it(trained):
    both = members.open_members(trained)
    zoo = members.Member("Z-net", Path("Z"), 7, 3, "Z-net", both[0].network, both[0].spec)
    alone = both[0].row.train_set
    assert trained_on(both) == alone and trained_on([zoo, *both]) == f"Z-net weights, then {alone}"
    both[0] = dataclasses.replace(
        both[0], row=dataclasses.replace(both[0].row, train_set=f"Z-net weights, then {alone}")
    )
    assert trained_on([zoo, both[0]]) == f"Z-net weights, then {alone}"


def test_refusals(call, refused, trained, tmp_path):
    one, two = trained
    empty, out = tmp_path / "empty", tmp_path / "out"
    empty.mkdir()
    refused(call("average", one, "--out", out), "name at least two trainings")
    refused(call("average", one, two, one, "--out", out), "s0 is named twice")
    refused(call("average", one, empty, "--out", out), "empty is not a run of tools/retrain.py")
    refused(
        call("average", one, two / "last.safetensors", "--out", out), "is a file; name the run folder that it is in"
    )
    refused(
        call("average", one, one.parent, "--out", out), "is not a run of tools/retrain.py; name those in it: s0, s1"
    )
    refused(
        call("average", one, "nothing", "--out", out), "'nothing' is not a folder, and in the zoo no weights are called"
    )
    zoo = "OSN-210M-C-market1501", "OSN-210M-C-heavy-market1501"
    refused(call("average", *zoo, "--out", out), "name at least one training: networks of the zoo do not say")
    refused(call("average", one, zoo[0], "--out", out), "OSN-210M-C-market1501 is of another network or data than .*s0")
    other = tmp_path / "other"
    config = (two / "config.yaml").read_text()
    write_text(other / "config.yaml", config.replace("dataset: synthetic", "dataset: market1501", 1))
    (other / "last.safetensors").symlink_to(two / "last.safetensors")
    refused(call("average", one, other, "--out", out), "other has no result.json; let the run finish")
    write_result(other, read_result(two))
    refused(
        call("average", one, other, "--out", out),
        r"other is of another network or data than .*s0 \(dataset: synthetic there, market1501 here\); leave it",
    )
    assert not out.exists()


def test_data_that_the_trainings_did_not_have_are_refused(call, refused, trained, tmp_path):
    """The mean would be calibrated and scored on them, and be told to be of the trainings' own."""
    out = ("--out", tmp_path / "mean")
    refused(
        call("average", *trained, *out, "--set", "data.synthetic.train_identities=19"),
        r"s0 was trained on other data than the configuration sets \(data.synthetic.train_identities: 20 there, 19 he",
    )
    refused(
        call("average", *trained, *out, "--set", "data.name=market1501"), "data.name: synthetic there, market1501 h"
    )
    refused(call("average", *trained, *out, "--set", "data.holdout_identities=5"), "data.holdout_identities: 6 there")
    folder = f"data.dataset={{name: folder, root: {tmp_path}}}"
    refused(call("average", *trained, *out, "--set", folder), "trained on other data than")
    assert not (tmp_path / "mean").exists()


def test_what_is_in_the_folder_is_kept(call, refused, trained, tmp_path):
    out = tmp_path / "mean"
    refused(call("average", *trained, "--out", trained[0]), "is not empty and contains no average; give another folder")
    refused(call("average", *trained, "--out", trained[0], "--replace"), "is not empty and contains no average")
    assert call("average", *trained, "--out", out).code == 0
    before = (out / "last.safetensors").read_bytes()
    refused(call("average", *trained, "--out", out), "holds an average of trainings; write it again with --replace")
    assert call("average", *trained, "--out", out, "--replace").code == 0
    assert (out / "last.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("members", "mean"),
    [
        ((None, None), None),
        ((None, "imagenet"), "imagenet"),
        (("supernet:runs/s", "imagenet"), "supernet:runs/s"),
        (("supernet:runs/s", "runs/other", None), "runs/other"),
    ],
)
def test_what_any_training_began_with_is_told_of_the_mean(members, mean):
    """It has seen those persons too."""
    assert began_with(members) == began_with(members[::-1]) == mean

"""Finished seeds of ``tools/retrain.py --repeats``: kept where they are of the very training that is asked for."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import tools.jobs.training.finished
import tools.jobs.training.repeats
from evaluation.comparison.row import read_result
from reid.errors import UserError
from reid.files import read_yaml, write_json, write_text
from supernet.files import NamedArch, arch_from_rows, save_arch
from tools.jobs.data import open_source
from tools.jobs.runs.provenance import sha256
from tools.jobs.training.repeats import retrain_repeatedly
from tools.jobs.training.wanted import Retraining, network_to_train, training_config

ROW = {"name": "x", "kind": "x", "latency_ms": None, "epochs": 1, "train_set": "t", "input_size": [64, 32]}
ROW |= {"mAP": 0.5, "rank1": 0.5, "flops": 1, "parameters": 1}


def _arch(path: Path, width: int = 16, origin: dict | None = None) -> str:
    arch = arch_from_rows(((1, 8, 1, 1), (2, width, 1, 2)), input_size=(64, 32))
    return str(save_arch(path, NamedArch("small", arch, origin or {})))


@pytest.fixture
def finished(make_job, tmp_path, monkeypatch):
    """A job and what it trained on a supernet's weights: two seeds, as they lie there when all is done."""
    for module in (tools.jobs.training.repeats, tools.jobs.training.finished):
        monkeypatch.setattr(module, "write_training_report", lambda run, *about: write_text(run / "report.html", ""))
    (tmp_path / "supernet").mkdir()
    weights = tmp_path / "supernet" / "supernet.safetensors"
    weights.write_bytes(b"one")
    what = Retraining(_arch(tmp_path / "a.yaml"), tmp_path / "none", f"supernet:{tmp_path / 'supernet'}")
    job = make_job(tmp_path / "run", resume=True)
    spec, _ = network_to_train(job, what)
    source = open_source(job.experiment.data, None, spec.input_size)
    for seed in (0, 1):
        run = job.out / f"seed-{seed}"
        write_json(run / "result.json", {**ROW, "seed": seed, "run": str(run)})
        write_text(run / "last.safetensors", "")
        write_text(run / "metrics.jsonl", '{"epoch": 1}\n')
        config = training_config(replace(job, seed=seed), what, spec, source, sha256(weights))
        (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return job, what, weights


def test_another_training_is_not_taken_for_this_one(finished, make_job, tmp_path):
    job, what, weights = finished
    retrain_repeatedly(job, what, 2)

    def differs(job, what):
        with pytest.raises(UserError, match=r"seed-0 was trained with another configuration \((\S+) differs\)") as told:
            retrain_repeatedly(job, what, 2)
        return str(told.value).partition("(")[2].partition(" ")[0]

    assert differs(job, replace(what, network=_arch(tmp_path / "b.yaml", 24))) == "network"
    assert differs(job, replace(what, network="resnet18")) == "network"
    assert differs(make_job(job.out, "input_size=[32, 32]", resume=True), what) == "input_size"
    assert differs(make_job(job.out, "retrain.epochs=2", resume=True), what) == "recipe"
    assert differs(make_job(job.out, "data.holdout_identities=5", resume=True), what) == "data"
    assert differs(job, replace(what, weights=None)) == "weights"
    weights.write_bytes(b"two")
    assert differs(job, what) == "supernet_sha256"
    weights.unlink()
    retrain_repeatedly(job, what, 2)
    for seed in (0, 1):
        path = job.out / f"seed-{seed}" / "config.yaml"
        path.write_text(path.read_text().replace("dataset: synthetic", "dataset: Market-1501", 1))
    assert differs(job, what) == "dataset"


def test_seeds_that_the_mean_would_be_without_are_refused(finished):
    """The page would show them beside a mean that they are not in."""
    job, what, _ = finished
    message = r"run also contains seed-0{}, which --seed {} --repeats {} would leave out of the mean; include them, or"
    for seed, repeats, others in ((1, 2, ""), (2, 3, ", seed-1")):
        for resume in (False, True):
            with pytest.raises(UserError, match=message.format(others, seed, repeats)):
                retrain_repeatedly(replace(job, seed=seed, resume=resume), what, repeats)
    assert not (job.out / "result.json").exists() and not (job.out / "seed-2").exists()


def test_what_is_no_difference(finished, tmp_path):
    job, what, _ = finished
    retrain_repeatedly(job, replace(what, network=_arch(tmp_path / "b.yaml", origin={"commit": "x"})), 2)
    for seed in (0, 1):  # as runs were kept before there were such keys
        path = job.out / f"seed-{seed}" / "config.yaml"
        saved = read_yaml(path)
        for key in ("dataset", "input_size", "supernet_sha256"):
            del saved[key]
        path.write_text(yaml.safe_dump(saved, sort_keys=False))
    retrain_repeatedly(job, what, 2)


def test_a_supernet_that_was_moved_is_the_same(finished, tmp_path):
    """Its place is told in the rows too, of which one was trained before it was moved."""
    job, what, weights = finished
    shutil.move(weights.parent, tmp_path / "moved")
    for seed, place in ((0, "old"), (1, "moved")):
        file = job.out / f"seed-{seed}" / "result.json"
        words = f"inherited weights ({place}), then 1 epoch of synthetic"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"train_set": words}))
    retrain_repeatedly(job, replace(what, weights=f"supernet:{tmp_path / 'moved'}"), 2)
    row = read_result(job.out)
    assert row.train_set == "inherited weights (moved), then 1 epoch of synthetic" and row.seeds == (0, 1)


def test_a_file_of_weights_that_was_moved_is_the_same_and_one_that_was_changed_is_not(finished, tmp_path):
    job, what, _ = finished
    old, new = (write_text(tmp_path / name / "last.safetensors", "w") for name in ("old", "new"))
    for seed, file in ((0, old), (1, new)):
        run = job.out / f"seed-{seed}"
        saved = read_yaml(run / "config.yaml") | {"weights": str(file), "weights_sha256": sha256(file)}
        del saved["supernet_sha256"]
        write_text(run / "config.yaml", yaml.safe_dump(saved, sort_keys=False))
        write_json(run / "result.json", {**ROW, "seed": seed, "run": str(run), "train_set": f"{file} weights, then t"})
    retrain_repeatedly(job, replace(what, weights=str(new)), 2)
    assert read_result(job.out).train_set == f"{new} weights, then t"
    write_text(new, "changed")
    with pytest.raises(UserError, match=r"seed-0 was trained with another configuration \(weights\S* differs\)"):
        retrain_repeatedly(job, replace(what, weights=str(new)), 2)


def test_a_seed_whose_weights_are_gone_is_gone_on_with(finished, monkeypatch):
    job, what, _ = finished
    (job.out / "seed-1" / "last.safetensors").unlink()
    asked = []
    monkeypatch.setattr(tools.jobs.training.repeats, "retrain", lambda job, what: asked.append((job.out, job.resume)))
    retrain_repeatedly(job, what, 2)
    assert asked == [(job.out / "seed-1", True)]


def test_a_seed_that_was_killed_before_its_page_gets_it(finished):
    job, what, _ = finished
    write_text(job.out / "seed-0" / "report.html", "its own")
    retrain_repeatedly(job, what, 2)
    assert [(job.out / f"seed-{seed}" / "report.html").read_text() for seed in (0, 1)] == ["its own", ""]

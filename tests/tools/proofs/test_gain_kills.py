"""``tools/gain.py`` killed after each file that it writes: with --resume it ends as if it had not been."""

from __future__ import annotations

import copy
import dataclasses
import functools
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

import reid.files
import tools.jobs.proofs.contenders
import tools.jobs.proofs.gain
import tools.jobs.proofs.gain_result
import tools.jobs.proofs.stand_alone
import tools.jobs.proofs.ways
import tools.jobs.training.finished
from evaluation.comparison.row import ResultRow, write_result
from reid.engine.machine.distributed import SINGLE
from reid.files import write_atomic, write_json, write_text
from reid.strict_yaml import parse_yaml
from search.costs import CostTable
from supernet.trained.checkpoint import SUPERNET
from tools.jobs.bn_calibration import CALIBRATION, calibrated_by
from tools.jobs.proofs.gain import Asked, gain
from tools.jobs.runs.ownership import training_in
from tools.jobs.runs.provenance import sha256
from tools.jobs.runs.supernets import inherited_run
from tools.jobs.training.wanted import network_to_train, training_config

SEEN = tuple((SimpleNamespace(pid=1, camid=camera),) for camera in (1, 2))
DATASET = SimpleNamespace(name="synthetic", has_test=True, query=SEEN[0], gallery=SEEN[1])
SOURCE = SimpleNamespace(dataset=DATASET, name="synthetic", notice=None)


class Killed(BaseException):
    """Nothing catches it."""


def _scored(job, name: str) -> None:
    score = len(name) / 100
    write_result(job.out, ResultRow(name, "x", score, score, 1, 1, None, 1, job.seed, (64, 32), "t", name))


def _retrain(job, what) -> None:
    """Leaves the files of a training in their order."""
    spec, _ = network_to_train(job, what)
    supernet = inherited_run(what.weights)
    config = training_config(job, what, spec, SOURCE, sha256(supernet / SUPERNET) if supernet else None)
    with training_in(job, config, lambda: None, SINGLE):
        (job.out / "metrics.jsonl").write_text('{"epoch": 1}\n')
        write_text(job.out / "last.safetensors", "")
        _scored(job, job.out.name)
        write_text(job.out / "report.html", "")


def _evaluate(job, weights, *arguments) -> None:
    about = {"weights_sha256": sha256(weights), CALIBRATION: calibrated_by(job.experiment, job.seed)}
    write_json(job.out / "score.json", {"about": about})
    _scored(job, job.out.name)


def _draw(panels, path) -> Path:
    return write_atomic(path, Image.new("L", (1, 1)).save)


@pytest.fixture
def quick(monkeypatch):
    """Trainings, evaluations and a picture that only leave their files, no data, and what is made or read once."""
    monkeypatch.setattr(tools.jobs.proofs.stand_alone, "retrain", _retrain)
    monkeypatch.setattr(tools.jobs.proofs.ways, "retrain", _retrain)
    monkeypatch.setattr(tools.jobs.proofs.ways, "evaluate", _evaluate)
    page = "write_training_report"
    monkeypatch.setattr(tools.jobs.training.finished, page, lambda run, *about: write_text(run / "report.html", ""))
    monkeypatch.setattr(tools.jobs.proofs.gain, "open_source", lambda *given: SOURCE)
    monkeypatch.setattr(tools.jobs.proofs.gain, "recipe_lines", lambda recipe: [])
    monkeypatch.setattr(tools.jobs.proofs.gain_result, "draw_gain", _draw)
    parsed = functools.cache(parse_yaml)
    monkeypatch.setattr(reid.files, "parse_yaml", lambda text: copy.deepcopy(parsed(text)))
    table = CostTable()
    for module in (tools.jobs.proofs.contenders, tools.jobs.proofs.gain):
        monkeypatch.setattr(module, "CostTable", lambda: table)


def test_a_kill_after_any_file_is_made_good(quick, make_job, search_run, supernet_run, tmp_path, monkeypatch):
    out = tmp_path / "out"
    asked = Asked(search_run, random=1, repeats=1, baselines=(), supernet=supernet_run)
    job = make_job(out)

    def left() -> dict[str, bytes]:
        return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}

    gain({"": job}, asked)
    unbroken, moved, killed = left(), os.replace, []
    shutil.rmtree(out)

    def replace(source, target) -> None:
        moved(source, target)
        name = str(Path(target).relative_to(out))
        if name not in killed and "R00-s0" not in name:  # trained as the found arch is
            killed.append(name)
            raise Killed

    monkeypatch.setattr(reid.files.os, "replace", replace)
    again = {"": dataclasses.replace(job, resume=True)}
    for _ in range(14):
        with pytest.raises(Killed):
            gain(again, asked)
    gain(again, asked)
    assert left() == unbroken and killed[0] == "archs/R00.yaml" and killed[-1] == "gain.json"
    assert {name for name in unbroken if "R00-s0" not in name and not name.endswith(".jsonl")} == set(killed)

"""384x128, as much of the literature has it: the size of a training goes with its weights to its score and its file."""

from __future__ import annotations

import pytest

import tools.jobs.export.speed
import tools.jobs.training.retrain
from evaluation.comparison.row import read_result
from evaluation.protocols import Protocol
from reid.engine.runs.checkpoint import read_about
from reid.files import read_json
from search.costs import whole_network_flops
from supernet.catalog import spec_from_dict
from supernet.files import load_arch
from tools.jobs.data import open_source
from tools.jobs.evaluate.checkpoints import open_subject
from tools.jobs.evaluate.result import Wanted, measure
from tools.jobs.export.job import Request, export
from tools.jobs.training.retrain import retrain
from tools.jobs.training.wanted import Retraining

SIZE = [384, 128]
FEW = "data.synthetic={train_identities: 4, test_identities: 2, distractors: 0, junk: 0, cameras: 2}"


def test_the_size_is_that_of_the_training_everywhere(make_job, small_arch, tmp_path, monkeypatch):
    """The configs of what comes after it have another size, which is nobody's."""
    for name in ("onnx", "onnxruntime"):
        pytest.importorskip(name)
    for name, value in (("ROUNDS", 2), ("BATCH_ROUNDS", 1), ("SECONDS", 0)):
        monkeypatch.setattr(tools.jobs.export.speed, name, value)
    monkeypatch.setattr(tools.jobs.training.retrain, "write_training_report", lambda run, *about: None)
    arch = load_arch(small_arch).arch
    run = retrain(make_job(tmp_path / "run", FEW, f"input_size={SIZE}"), Retraining(str(small_arch), tmp_path / "none"))
    row = read_result(run)
    assert row.input_size == spec_from_dict(read_about(run / "last.safetensors")).input_size == tuple(SIZE)
    elsewhere = make_job(tmp_path / "file", FEW)
    subject, _ = open_subject(elsewhere, run, None, tmp_path, Protocol())
    evaluation, _ = measure(subject, [open_source(elsewhere.experiment.data, None)], Wanted())
    assert subject.input_size == row.input_size and evaluation.score.mAP == pytest.approx(row.mAP, abs=1e-6)
    told = read_json(export(elsewhere, str(run), Request(score=True)))
    (file,) = told["rows"]
    assert file["input_size"] == SIZE and file["flops"] == row.flops > 20 * whole_network_flops(arch)
    assert file["mAP"] == pytest.approx(row.mAP, abs=2e-3)

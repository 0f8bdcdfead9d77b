"""A short training on the real data learns something that carries over to other persons."""

from __future__ import annotations

import pytest
import torch

import tools.jobs.data
from evaluation.comparison.row import read_result
from reid.config import load_config
from reid.files import read_json
from supernet.files import NamedArch, load_space, save_arch
from supernet.space.genome import smallest
from tools.jobs.experiment import CONFIGS, Experiment
from tools.jobs.job import Job
from tools.jobs.training.retrain import retrain
from tools.jobs.training.wanted import Retraining

OVERRIDES = (
    "data.name=market1501",
    "data.train_identities=60",
    "data.holdout_identities=20",
    "data.retrain_on_holdout=false",
    "input_size=[64, 32]",
    "retrain={epochs: 8, identities: 8, schedule: {warmup: 1}}",
)


@pytest.mark.real
@pytest.mark.slow
def test_short_training_scores_above_chance(market1501_root, tmp_path, monkeypatch):
    monkeypatch.setattr(tools.jobs.data, "ROOT", tmp_path)
    experiment = load_config(Experiment, CONFIGS / "market1501-cpu.yaml", OVERRIDES)
    arch = save_arch(tmp_path / "small.yaml", NamedArch("small", smallest(load_space("tiny"))))
    job = Job(experiment, market1501_root, tmp_path / "run", False, 0, torch.device("cpu"))
    run = retrain(job, Retraining(str(arch), tmp_path))

    row, score = read_result(run), read_json(run / "score.json")
    assert score["queries"] == 3368 and score["skipped_queries"] == 0
    assert row.train_set.startswith("market1501: 60 identities")
    # Chance is about 0.2 % mAP and Rank-1 (13,115 of 15,913 gallery images share 750 identities).
    assert row.mAP > 0.006 and row.rank1 > 0.015

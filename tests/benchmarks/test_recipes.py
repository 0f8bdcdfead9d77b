"""The recipes' table takes what was trained before for what it is; nothing is trained here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from reid.config import config_to_dict
from supernet.catalog import spec_to_dict
from tools.jobs.experiment import CONFIGS, load_experiment
from tools.jobs.job import Job
from tools.jobs.training.wanted import Retraining, network_to_train

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "recipes.py"


@pytest.fixture
def out(tmp_path):
    """Where ``debug`` has been trained for three epochs on osnet_x0_25."""
    run = tmp_path / "recipes" / "debug"
    run.mkdir(parents=True)
    experiment = load_experiment(CONFIGS / "demo.yaml", recipe="debug", epochs=3)
    job = Job(experiment, None, run, False, 0, torch.device("cpu"))
    spec, _ = network_to_train(job, Retraining("osnet_x0_25", tmp_path))
    config = {"seed": 0, "dataset": "synthetic", "input_size": experiment.input_size, "weights": None}
    config |= {"data": config_to_dict(experiment.data), "recipe": config_to_dict(experiment.retrain)}
    (run / "config.yaml").write_text(yaml.safe_dump(config | {"network": spec_to_dict(spec)}, sort_keys=False))
    (run / "result.json").write_text(json.dumps({"mAP": 0.25, "rank1": 0.5, "epochs": 3}))
    (run / "metrics.jsonl").write_text('{"epoch": 3, "images_per_second": 9.0, "peak_memory_mib": 7}\n')
    (run / "doctor.json").write_text("[]")
    return run.parent


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ([], None),
        (["--arch", "mobilenetv2"], "network.kind: backbone then, arch now"),
        (["--set", "input_size=[96,48]"], "input_size: "),
        (["--seed", "1"], "seed: 0 then, 1 now"),
        (["--epochs", "4"], "recipe.epochs: 3 then, 4 now"),
    ],
)
def test_a_run_of_other_options_is_no_row(run_here, out, options, difference):
    arguments = ["--recipes", "debug", "--epochs", "3", "--out", str(out), *options]
    if difference is None:
        command = [sys.executable, str(BENCHMARK), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0 and "| debug | 25.0 | 50.0 | - | 3 | 9 | 7 | - |" in done.stdout, done.stderr
    else:
        done = run_here(BENCHMARK.name, *arguments)
        assert done.returncode == 1 and done.stdout == ""
        assert done.stderr.startswith(f"error: {out / 'debug'} was trained with other options ({difference}")

"""An experiment's folder with finished rows that were made up: what tables make of them can be computed by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from evaluation.comparison.row import ResultRow, write_result
from reid.engine.runs.checkpoint import save_weights
from reid.files import write_json
from supernet.catalog import NetworkSpec, build, spec_to_dict
from supernet.files import arch_from_rows
from tools.jobs.experiment import CONFIGS
from tools.jobs.results.plan.file import load_plan, slug
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.plan.steps import Places, Step, plan_steps
from tools.jobs.results.settings import keep_settings
from tools.jobs.runs.provenance import sha256

ARCH = arch_from_rows([[1, 8, 1, 1], [3, 8, 1, 2]], input_size=(64, 32), stem=8, last_width=16)


@pytest.fixture
def make_setup(tmp_path) -> Callable[..., Setup]:
    """A plan's keys to its setup, with ``out`` below the test's folder."""

    def make(**plan) -> Setup:
        file = tmp_path / "made-up.yaml"
        file.write_text(yaml.safe_dump({"config": str(CONFIGS / "demo.yaml"), **plan}))
        return Setup(load_plan(file), file, Places(tmp_path / "out"))

    return make


@pytest.fixture
def finish() -> Callable[..., Step]:
    """Puts there what a finished row leaves."""

    def put(setup: Setup, name: str, mAP: float, rank1: float = 0.5, settings: bool = True, arch=ARCH, **other) -> Step:
        step = next(step for step in plan_steps(setup.plan) if step.name == name)
        run, flip = setup.places.run(step), setup.places.flip(step)
        spec = NetworkSpec("tiny", arch, arch.input_size)
        torch.manual_seed(0)
        weights = save_weights(run / "last.safetensors", build(spec), spec_to_dict(spec))
        row = {"name": "tiny", "kind": "baseline", "flops": 1, "parameters": 2, "latency_ms": 1.0, "epochs": 3}
        row |= {"input_size": ARCH.input_size, "train_set": "made up: 5 identities", "test_set": "made up: 3 queries"}
        write_result(run, ResultRow(**{**row, "mAP": mAP, "rank1": rank1, "seed": step.seed, "run": str(run), **other}))
        command = f"python tools/retrain.py --arch {slug(step.part.name)} --out {run}"
        write_json(run / "score.json", {"command": command, "commit": f"c{step.seed}"})
        protocol = {"flip": True, "rerank": None}
        about = {"weights_sha256": sha256(weights)}
        score = {"mAP": mAP + 0.01, "rank1": rank1 + 0.02, "protocol": protocol, "about": about}
        write_json(flip / "score.json", score)
        (run / "metrics.jsonl").write_text(f'{{"epoch": 3, "from": "{Path(run)}"}}\n')
        if settings:
            keep_settings(setup, step)
        return step

    return put

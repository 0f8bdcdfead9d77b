"""What the pipeline refuses before its first step, and which step its options reach."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

import tools.jobs.pipeline
from reid.errors import UserError
from reid.files import write_text
from search.costs import CostTable
from tools.jobs.pipeline import Asked, pipeline


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked(flops="1K"), r"FLOPs limit .* is below the smallest arch: space tiny spans [\d.]+M to [\d.]+M at 64x32"),
        (Asked(flops="six"), "FLOPs 'six'"),
        (Asked(params="1K"), "parameter limit .* is below the smallest arch"),
        (
            Asked(latency="5ms"),
            "search options: latency 5ms needs a target to be measured on; set target, for example onnx-cpu-1t",
        ),
        (Asked(latency="5ms", target="onnx-cpu"), "latency target 'onnx-cpu' is unknown"),
        (Asked(baselines=["resnet19"]), "no network is called 'resnet19'; nearest: resnet18"),
        (Asked(finetune_epochs=0), "--finetune-epochs 0: must be from 1 to 1000000"),
        (Asked(finetune_epochs=10**9), "--finetune-epochs 1000000000: must be from 1 to 1000000"),
        (
            Asked(["MLR-210M-A"], flops="210M"),
            "--baselines MLR-210M-A: this search names an arch of its own MLR-210M-A",
        ),
        (
            Asked(["mlr-210m-b"], flops="210M"),
            "--baselines mlr-210m-b: this search names an arch of its own MLR-210M-B",
        ),
        (Asked(["resnet18", "ResNet18"]), "--baselines resnet18 ResNet18: both are called resnet18"),
    ],
)
def test_what_a_later_step_would_refuse_is_refused_first(make_job, tmp_path, asked, message):
    with pytest.raises(UserError, match=message):
        pipeline(make_job(tmp_path / "run"), asked)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def predicted(monkeypatch, tmp_path):
    """The options of a space of few archs, whose latency table is there at once: a ms for a million FLOPs."""
    costs = CostTable()
    table = SimpleNamespace(latency=lambda arch: costs.flops(arch) / 1e6)
    monkeypatch.setattr(tools.jobs.pipeline, "open_table", lambda *arguments, **options: table)
    monkeypatch.setattr(tools.jobs.pipeline, "CostTable", lambda: costs)
    stage = "{stride: 2, widths: [8, 12], depths: [1], kernels: [3], expands: [1]}"
    space = tmp_path / "few.yaml"
    space.write_text(f"{{input_size: [64, 32], stems: [8], stages: [{stage}], last_widths: [16]}}")
    return ("--set", f"space={space}")


def test_a_latency_that_no_arch_has_is_refused_before_the_supernet(call, predicted, refused, tmp_path):
    options = ("--latency", "1us", "--target", "torch-cpu-1t", "--out", tmp_path / "run")
    refused(call("pipeline", *predicted, *options), "latency limit 0.001 ms is below the fastest arch: space few spans")
    assert not (tmp_path / "run").exists()


def test_limits_and_target_reach_the_search_alone(call, predicted, refused, tmp_path, monkeypatch):
    seen = []

    def note(name):
        def step(job, *rest):
            seen.append((name, job.experiment.search))
            if name == "search":
                raise UserError("far enough")

        return step

    for name in ("train_supernet", "search"):
        monkeypatch.setattr(tools.jobs.pipeline, name, note(name))
    limits = ("--latency", "5ms", "--params", "90K", "--target", "torch-cpu-1t", "--baselines")
    begun = ("pipeline", *predicted, "--out", tmp_path / "run")
    refused(call(*begun, *limits), "far enough")
    (_, before), (name, config) = seen
    assert name == "search" and (before.flops, before.latency, before.target) == ("6M", None, None)
    assert (config.flops, config.latency, config.parameters) == (None, "5ms", "90K")
    assert config.target == "torch-cpu-1t"
    refused(call(*begun, *limits, "--resume"), "far enough")
    refused(call(*begun, *limits[2:], "--resume"), "another configuration .latency_ms: 5.0 then, None now")


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_demo_asks_to_go_on_only_where_there_is_something(tmp_path):
    """Where there is nothing, --resume says so, which somebody who typed `make demo` has not asked for."""

    def typed() -> str:
        command = ["make", "-n", "demo", f"VENV={tmp_path}", f"RUN={tmp_path}"]
        root = Path(__file__).resolve().parents[2]
        # Under `make test` an outer make hands its flags and level down, and the inner one would print what it enters.
        alone = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        shown = subprocess.run(command, cwd=root, env=alone, capture_output=True, text=True, check=True).stdout
        return shown.splitlines()[-1]

    write_text(tmp_path / ".installed", "")
    assert f"tools/pipeline.py --config configs/demo.yaml --out {tmp_path}" in typed() and "--resume" not in typed()
    write_text(tmp_path / "config.yaml", "")
    assert typed().endswith(" --resume")

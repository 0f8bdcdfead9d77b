"""``tools/train_supernet.py``: two processes of torchrun that train one supernet; and a band of FLOPs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tools.jobs.data
import tools.jobs.training.train_supernet
from reid.engine.recipe.scaling import at_epochs
from reid.engine.runs.run_folder import read_metrics
from reid.errors import UserError
from supernet.space.genome import largest
from supernet.trained.checkpoint import load_supernet
from tools.jobs.experiment import load_experiment

PROGRAM = Path(__file__).with_name("train_supernet_program.py")


@pytest.mark.slow  # the gradients of two processes are compared step by step in tests/supernet
def test_two_processes_train_one_supernet(tmp_path, run_twice, load_program, monkeypatch):
    said = run_twice(PROGRAM, tmp_path)
    assert "training a supernet" in said[0] and "one of 2 processes" in said[0] and "training" not in said[1]
    monkeypatch.setattr(tools.jobs.data, "ROOT", tmp_path)
    load_program(PROGRAM).train(tmp_path / "alone")
    names = [{path.name for path in (tmp_path / run).iterdir()} for run in ("run", "alone")]
    assert names[0] == names[1] >= {"supernet.safetensors", "metrics.jsonl", "report.html", "doctor.json"}
    (record,), (wanted,) = read_metrics(tmp_path / "run"), read_metrics(tmp_path / "alone")
    assert record.keys() == wanted.keys() >= {"largest_mAP", "smallest_mAP"}
    for key in ("loss", "loss_triplet", "random_loss", "feature_norm"):
        assert record[key] == pytest.approx(wanted[key], rel=1e-3), key
    first, second = (
        load_supernet(tmp_path / run / "supernet.safetensors", torch.device("cpu")) for run in ("run", "alone")
    )
    images = torch.rand(8, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        a, b = (supernet.train()(images, largest(supernet.space)) for supernet in (first, second))
    torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-2)


def test_length_of_a_supernet(tmp_path):
    """Its schedule, and the epochs of the largest arch alone, go with it; the retraining is as long as it was."""
    config = tmp_path / "own.yaml"
    config.write_text("base: configs/demo.yaml\nsupernet: {sampling: {warmup_epochs: 6}}\n")
    whole, short = load_experiment(config), load_experiment(config, supernet_epochs=4)
    assert whole.supernet.recipe.epochs == 24 and short.retrain == whole.retrain
    assert short.supernet.recipe == at_epochs(whole.supernet.recipe, 4) and short.supernet.sampling.warmup_epochs == 1
    with pytest.raises(UserError, match="^--epochs 0: must be from 1 to 1000000$"):
        load_experiment(config, supernet_epochs=0)


def _killed_before_its_page(train, out, monkeypatch):
    """By its weights a supernet is taken for finished."""

    def killed(*what):
        raise KeyboardInterrupt

    names = ("supernet.safetensors", "report.html")
    before = (out / names[0]).read_bytes()
    for name in names:
        (out / name).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(tools.jobs.training.train_supernet, "write_training_report", killed)
        assert train() == 130 and not (out / names[0]).exists()
    assert train() == 0 and (out / names[0]).read_bytes() == before and (out / names[1]).is_file()


def test_supernet_for_a_band_of_flops_never_runs_the_largest_arch(call, refused, tmp_path, monkeypatch):
    sampling = "supernet.sampling={archs: 1, largest_every: 0, flops: [4M, 6M]}"
    stopped = "supernet.recipe.early_stopping={patience: 1, metric: lr, minimum_gain: 9}"
    averaged = "supernet.recipe.averaging.kind=swa"
    band = ("--set", sampling, "--set", "supernet.recipe.epochs=3", "--set", stopped, "--set", averaged)
    out = tmp_path / "run"
    done = call("train_supernet", "--out", out, *band)
    assert done.code == 0, done.err
    assert "note      early_stopping ended the training after epoch 2, before averaging (swa) begins in" in done.out
    record = read_metrics(out)[-1]
    assert {"loss", "accuracy", "largest_mAP", "smallest_mAP"} <= record.keys() and "random_loss" not in record
    done = call("search", "--supernet", out, "--out", tmp_path / "search", "--flops", "6M")
    assert done.code == 0, done.err
    _killed_before_its_page(lambda: call("train_supernet", "--out", out, "--resume", *band).code, out, monkeypatch)

    counted = ("--set", "search.cost_input_size=[48, 24]")
    refused(
        call("train_supernet", "--out", out, "--resume", *band, *counted), r"cost_input_size: None then, \[48, 24\] now"
    )

    band = ("--set", "supernet.sampling={archs: 1, flops: [400M, 600M]}")
    refused(
        call("train_supernet", "--out", tmp_path / "none", *band),
        "supernet.sampling.flops 400.0M to 600.0M: space tiny",
    )


def test_taught_by_a_network(call, train, refused, small_arch, tmp_path):
    """Which may have moved since; one that may know the held-out persons is told of."""
    sampling = "supernet.sampling={archs: 1, largest_every: 0}"
    own, moved = tmp_path / "own", tmp_path / "moved"
    assert train(own, "data.retrain_on_holdout=false").code == 0

    def taught(out, how, *more):
        distillation = f"supernet.recipe.losses.distillation={how}"
        return call("train_supernet", "--out", tmp_path / out, "--set", sampling, "--set", distillation, *more)

    done = taught("run", f"{{teacher: {own}, logits: 1, similarity: 10}}")
    assert done.code == 0, done.err
    (record,) = read_metrics(tmp_path / "run")
    assert (
        record["loss_distillation"] > 0 and f"distillation from {own}" in done.out and "may have seen" not in done.out
    )
    for name in ("supernet.safetensors", "report.html"):
        (tmp_path / "run" / name).unlink()
    own.rename(moved)
    again = taught("run", f"{{teacher: {moved}, logits: 1, similarity: 10}}", "--resume")
    assert again.code == 0, again.err
    assert read_metrics(tmp_path / "run") == [record]

    done = taught("held", "{teacher: OSNet-x0.42-market1501, similarity: 10}")
    assert done.code == 0, done.err
    assert "note      teacher OSNet-x0.42-market1501: it may have seen the held-out" in done.out

    begun = tmp_path / "begun"  # its own persons are the supernet's, but who knows those of its first weights
    options = ("--weights", moved, "--set", "data.retrain_on_holdout=false")
    assert call("retrain", "--arch", small_arch, "--out", begun, *options).code == 0
    done = taught("later", f"{{teacher: {begun}, similarity: 10}}")
    assert f"note      teacher {begun}: it may have seen the held-out" in done.out
    for teacher, message in (
        (own, "losses.distillation.teacher: .*own does not exist"),
        ("OSNet-x0.42-market1501", "has no classifier.safetensors next to its weights"),
    ):
        refused(taught("none", f"{{teacher: {teacher}, logits: 1}}"), message)

"""``tools/retrain.py``: recipes, weights to start from, monitoring, and several seeds."""

from __future__ import annotations

import json
import re
import statistics
from dataclasses import replace

import pytest
import torch
import torchvision

from evaluation.comparison.row import read_result
from reid.config import load_config
from reid.engine.machine.device import seeded
from reid.engine.recipe import Recipe
from reid.engine.recipe.scaling import at_batch, at_epochs
from reid.engine.runs.run_folder import read_metrics
from reid.files import read_yaml
from supernet.trained import load_backbone
from tools.jobs.experiment import CONFIGS, RECIPES, load_experiment
from tools.jobs.runs.provenance import sha256

STILL = "retrain.optimizer={name: sgd, lr: 1.0e-12, weight_decay: 0}"
"""A rate at which weights stay, to see what they were at first."""


def _done(done) -> None:
    assert done.code == 0, done.err


# Recipes and their length.


def test_a_recipe_by_name_at_another_length(train, tmp_path):
    """``--epochs`` scales the recipe, then ``--set`` has the last word (the tests' own sets 1 epoch)."""
    run = tmp_path / "run"
    done = train(run, "--recipe", "bot", "--epochs", 12, "retrain.schedule.warmup=0.5", "retrain.evaluate_every=1")
    _done(done)
    assert (
        "  note      schedule: the rate has not yet fallen as planned after epoch 4, 7 at the end (epochs: 1)"
        in done.out
    )
    assert "  note      retrain.evaluate_every 1 has no effect" in done.out
    assert "Bag of Tricks" in done.out and read_result(run).name == "small (bot)"
    assert [record["epoch"] for record in read_metrics(run)] == [1]
    saved, file = read_yaml(run / "config.yaml")["recipe"], read_yaml(RECIPES / "bot.yaml")
    assert file["epochs"] == 120 and saved["optimizer"]["name"] == file["optimizer"]["name"] == "adam"
    assert saved["schedule"]["milestones"] == [each // 10 for each in file["schedule"]["milestones"]]
    assert saved["schedule"]["warmup"] == 0.5 and saved["identities"] == 4
    assert saved["losses"]["center"]["weight"] == file["losses"]["center"]["weight"] == 5e-4


def test_recipe_and_length_of_an_experiment():
    """Without settings of the tests' own."""
    experiment = load_experiment(CONFIGS / "demo.yaml", recipe="bot", epochs=12)
    assert experiment.retrain == at_epochs(load_config(Recipe, RECIPES / "bot.yaml"), 12)
    assert experiment.data == load_experiment(str(CONFIGS / "demo.yaml")).data
    by_path = load_experiment(CONFIGS / "demo.yaml", ["retrain.epochs=5"], recipe=str(RECIPES / "bot.yaml"), epochs=12)
    assert by_path.retrain == replace(experiment.retrain, epochs=5)
    larger = load_experiment(CONFIGS / "demo.yaml", recipe="bot", epochs=12, batch="32x8").retrain
    assert larger == at_batch(experiment.retrain, 32, 8) != experiment.retrain


def test_compile_is_a_key_of_the_recipe(train, tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda module, **options: compiled.append(module) or module)
    done = train(tmp_path / "run", "--compile", "retrain.epochs=1")
    _done(done)
    assert len(compiled) == 1 and ", compiled" in done.out
    assert read_yaml(tmp_path / "run" / "config.yaml")["recipe"]["compile"] is True


@pytest.mark.parametrize(
    ("network", "weights", "message"),
    [
        ("osnet_x0_5", "imagenet", "weights of osnet_x0_5 cannot be downloaded by a program"),
        ("mobilenetv2", "none.pth", "there is no such file"),
    ],
)
def test_weights_that_nobody_has_are_told_of_before_data_are_opened(
    train, tmp_path, monkeypatch, refused_at_once, network, weights, message
):
    monkeypatch.setattr("tools.jobs.training.preparation.open_source", lambda *_: pytest.fail("data were opened"))
    refused_at_once(train(tmp_path / "run", "--weights", weights, network=network), tmp_path / "run", message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--recipe", "bott"), "no recipe is called 'bott'; nearest: bot"),
        (("--recipe", "none.yaml"), "--recipe none.yaml: there is no such file"),
        (("--epochs", "0"), "--epochs 0: must be from 1 to 1000000"),
        (("--batch", "64"), "--batch 64: give the number of identities and of images of each"),
        (
            ("--batch", "8x2"),
            r"--batch 8x2 and --set retrain=\{epochs: 1, identities: 4, .* contradict each other; give one",
        ),
        (("--batch", "64x1"), "--batch 64x1: .*both at least 2"),
        (("--repeats", "0"), "--repeats 0: must be from 1 to 1000"),
        (("--weights", "none.pth"), "weights none.pth: there is no such file"),
        (("--weights", "imagenet"), "no ImageNet weights are known for this backbone"),
        (
            ("retrain.keep_best=true",),
            "retrain.keep_best depends on scores on held-out identities; set data.retrain_on_holdout",
        ),
        (
            ("retrain.early_stopping={patience: 2}", "data.retrain_on_holdout=false", "retrain.evaluate_every=0"),
            "retrain.early_stopping depends on scores on held-out identities; set .* retrain.evaluate_every above 0",
        ),
        (
            ("retrain.early_stopping={metric: mAP}",),
            "retrain.early_stopping.metric 'mAP' is never measured; nearest: holdout_mAP",
        ),
        (
            ("retrain.early_stopping={metric: loss_circle, mode: min}",),
            "retrain.early_stopping.metric 'loss_circle' is never measured; nearest: ",
        ),
        (("retrain.losses.distillation.logits=1",), "needs a teacher"),
        (
            ("retrain.losses.distillation={teacher: none.safetensors, similarity: 1}",),
            "none.safetensors does not exist",
        ),
        (
            ("retrain.head.parts={stripes: 8}", "input_size=[32, 32]"),
            "a feature map of 4 rows cannot be divided into 8 stripes",
        ),
    ],
)
def test_what_is_refused(train, tmp_path, options, message, refused_at_once):
    refused_at_once(train(tmp_path / "run", *options), tmp_path / "run", message)


# Weights to start from.


def test_weights_of_an_earlier_run(train, teach, tmp_path):
    """The backbone's are taken, whatever the head; the optimizer here leaves them as they were."""
    source = teach / "last.safetensors"
    done = train(tmp_path / "run", "--weights", source, STILL, "retrain.head.embedding=8")
    _done(done)
    assert re.search(r"weights +\d+ of \d+ tensors loaded", done.out) and "from given weights, in " in done.out
    theirs, own = load_backbone(source), load_backbone(tmp_path / "run" / "last.safetensors")
    for (name, a), b in zip(theirs.backbone.named_parameters(), own.backbone.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6, msg=name)
    assert read_result(tmp_path / "run").train_set.startswith(f"{source} weights, then synthetic: 20 identities")
    assert read_yaml(tmp_path / "run" / "config.yaml")["weights_sha256"] == sha256(source)


def test_weights_as_torchvision_has_them(train, tmp_path):
    with seeded(4):
        published = torchvision.models.mobilenet_v2(weights=None)
    torch.save(published.state_dict(), tmp_path / "mobilenet.pth")
    done = train(tmp_path / "run", "--weights", tmp_path / "mobilenet.pth", STILL, network="mobilenetv2")
    _done(done)
    theirs = [value for name, value in published.features.named_parameters()]
    own = list(load_backbone(tmp_path / "run" / "last.safetensors").backbone.parameters())
    assert len(theirs) == len(own)
    assert all(torch.allclose(a, b, rtol=0, atol=1e-7) for a, b in zip(theirs, own, strict=True))


def test_weights_of_another_network(train, teach, tmp_path, refused_at_once):
    done = train(tmp_path / "run", "--weights", teach / "last.safetensors", network="mobilenetv2")
    refused_at_once(done, tmp_path / "run", "are of another network: they fill .* of the backbone's .* tensors")


# The monitor.


def test_best_weights_and_early_stopping(train, tmp_path):
    """What the held-out identities are ranked by at the best epoch is what is written, and can be loaded. A mean of
    weights that had not begun is told as missing."""
    run, settings = tmp_path / "run", ("data.retrain_on_holdout=false", "retrain.evaluate_every=1")
    stop = "retrain.early_stopping={patience: 1, minimum_gain: 1.0}"
    done = train(run, *settings, "retrain.epochs=3", "retrain.keep_best=true", stop, "retrain.averaging.kind=swa")
    _done(done)
    (note,) = read_result(run).notes
    assert "ended the training after epoch 2, before averaging (swa) begins in epoch 3: these are its last" in note
    assert note in done.out
    first, second = read_metrics(run)  # no mAP can gain 1
    assert {"holdout_mAP", "holdout_rank1"} <= first.keys() and read_result(run).epochs == 2
    best, last = load_backbone(run / "best.safetensors"), load_backbone(run / "last.safetensors")
    alike = all(torch.equal(a, b) for a, b in zip(best.parameters(), last.parameters(), strict=True))
    assert alike == (second["holdout_mAP"] > first["holdout_mAP"])
    assert best(torch.zeros(1, 3, 64, 32)).shape == (1, 32)
    assert isinstance(json.loads((run / "doctor.json").read_text()), list)


# Several seeds.


def test_repeats(train, tmp_path):
    run = tmp_path / "run"
    repeated = ("--repeats", 2, "--seed", 3)
    done = train(run, *repeated)
    _done(done)
    rows, row = [read_result(run / f"seed-{seed}") for seed in (3, 4)], read_result(run)
    assert [each.seed for each in rows] == [3, 4] and row.seeds == (3, 4) and row.run == str(run)
    assert row.mAP == pytest.approx(sum(each.mAP for each in rows) / 2) and rows[0].mAP != rows[1].mAP
    assert row.mAP_spread == pytest.approx(statistics.stdev(each.mAP for each in rows))
    assert row.rank1_spread == pytest.approx(statistics.stdev(each.rank1 for each in rows))
    assert f"{100 * row.mAP:.1f} ± {100 * row.mAP_spread:.1f}" in done.out

    assert train(run, *repeated).err.endswith("go on with --resume, or give another folder with --out\n")
    for name in (run / "seed-4" / "result.json", run / "result.json"):
        name.unlink()
    kept = {path: path.stat().st_mtime_ns for path in (run / "seed-3").rglob("*") if path.is_file()}
    weights = (run / "seed-4" / "last.safetensors").read_bytes()
    other = train(run, *repeated, "--resume", "retrain.optimizer.lr=0.01")
    assert other.code == 2 and "seed-3 was trained with another configuration (recipe differs)" in other.err
    _done(train(run, *repeated, "--resume"))
    assert read_result(run).mAP == row.mAP and read_result(run).mAP_spread == row.mAP_spread
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert (run / "seed-4" / "last.safetensors").read_bytes() == weights

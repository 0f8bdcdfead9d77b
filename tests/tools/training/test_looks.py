"""A caller's own function that looks at the network while ``tools.jobs.training.retrain`` trains it."""

from __future__ import annotations

import re

import pytest
import torch
from safetensors.torch import load_file

from reid.engine.runs.run_folder import read_metrics
from reid.engine.runs.tags import TAGS
from reid.engine.tasks.objective import loss_names
from reid.errors import UserError
from tools.jobs.training.looks import BEST, HELD_OUT, OwnEvaluation
from tools.jobs.training.retrain import retrain
from tools.jobs.training.wanted import Retraining

EVERY = ("retrain.evaluate_every=1", "retrain.epochs=3")


@pytest.fixture
def what(tmp_path) -> Retraining:
    path = tmp_path / "small.yaml"
    path.write_text("name: small\ninput_size: [64, 32]\nstem: 8\nrows: [[1, 8, 1, 1], [2, 16, 1, 2]]\nlast_width: 24\n")
    return Retraining(str(path), tmp_path / "none", test=False)


class Looks:
    """Gives ``values`` one by one, and keeps what it was shown."""

    def __init__(self, *values: float) -> None:
        self.values, self.weights = values, []

    def __call__(self, network):
        assert not network.training and not torch.is_grad_enabled()
        assert network(torch.zeros(2, 3, 64, 32)).shape == (2, 24)
        self.weights.append({name: value.clone() for name, value in network.state_dict().items()})
        return {"apart": torch.tensor(self.values[len(self.weights) - 1]), "seen": len(self.weights)}


def test_its_numbers_are_recorded_and_its_best_weights_kept(make_job, what, tmp_path):
    """No identities are held out; of the three looks the second is the best."""
    looks = Looks(0.25, 0.75, 0.5)
    job = make_job(tmp_path / "run", *EVERY, "retrain.keep_best=true")
    run = retrain(job, what, OwnEvaluation(looks, "apart"))
    records = read_metrics(run)
    assert [record["apart"] for record in records] == [0.25, 0.75, 0.5]
    assert [record["seen"] for record in records] == [1, 2, 3] and "holdout_mAP" not in records[0]
    kept = load_file(run / BEST)
    assert kept.keys() == looks.weights[1].keys()
    assert all(torch.equal(kept[name], looks.weights[1][name]) for name in kept)
    assert not all(torch.equal(kept[name], looks.weights[2][name]) for name in kept)


def test_the_best_of_a_loss_is_the_least(make_job, what, tmp_path):
    looks = Looks(0.75, 0.25, 0.5)
    job = make_job(tmp_path / "run", *EVERY, "retrain.keep_best=true")
    kept = load_file(retrain(job, what, OwnEvaluation(looks, "apart", mode="min")) / BEST)
    assert all(torch.equal(kept[name], looks.weights[1][name]) for name in kept)


def test_a_loss_that_is_to_grow_is_refused_as_by_early_stopping():
    with pytest.raises(UserError, match="^OwnEvaluation: metric shop_loss is a loss, .*; also set mode: min"):
        OwnEvaluation(dict, "shop_loss")
    with pytest.raises(UserError, match="^OwnEvaluation: mode 'least': must be 'max' or 'min'$"):
        OwnEvaluation(dict, "shop_loss", mode="least")
    assert OwnEvaluation(dict, "shop_loss", mode="min") and OwnEvaluation(dict, "flawless")


def test_the_best_weights_and_an_early_end_go_the_same_way(make_job, what, tmp_path):
    job = make_job(tmp_path / "run", *EVERY, "retrain.early_stopping={metric: apart, mode: min}")
    with pytest.raises(UserError, match="early_stopping.mode is min, and your own .* for apart is max; give both"):
        retrain(job, what, OwnEvaluation(Looks(0.5), "apart"))


def test_training_is_the_same_with_and_without_it(make_job, what, tmp_path):
    """Though it draws random numbers and leaves the network in eval mode."""

    def drawing(network):
        return {"drawn": torch.rand(())}

    last = []
    for name, own in (("with", OwnEvaluation(drawing, "drawn")), ("without", None)):
        settings = ("retrain.epochs=2", "retrain.head.dropout=0.5", "retrain.evaluate_every=1")
        last.append(load_file(retrain(make_job(tmp_path / name, *settings), what, own) / "last.safetensors"))
    assert all(torch.equal(last[0][name], last[1][name]) for name in last[1])


def test_beside_held_out_identities_and_early_stopping_by_it(make_job, what, tmp_path):
    stop = "retrain.early_stopping={metric: apart, patience: 1}"
    job = make_job(tmp_path / "run", *EVERY, "data.retrain_on_holdout=false", stop)
    records = read_metrics(retrain(job, what, OwnEvaluation(Looks(0.5, 0.25), "apart")))
    assert [record["apart"] for record in records] == [0.5, 0.25]  # stopped before the third epoch
    assert all(0 <= record["holdout_mAP"] <= 1 for record in records)


@pytest.mark.parametrize(
    ("settings", "numbers", "message"),
    [
        ((), {"apart": 1}, "retrain.evaluate_every is 0: your own evaluation would never be called"),
        (EVERY, {"together": 1}, "the evaluation returned no 'apart', which is its metric; it returned: together"),
        (EVERY, {"apart": 1, "lr": 1}, "the monitor's 'lr' is a field of the training's own record"),
        (
            (*EVERY, "data.retrain_on_holdout=false"),
            {"apart": 1, "holdout_mAP": 1},
            "the evaluation's 'holdout_mAP' is the name of a score on held-out identities; give it another name",
        ),
    ],
)
def test_what_is_refused(make_job, what, tmp_path, settings, numbers, message):
    with pytest.raises(UserError, match=re.escape(message)):
        retrain(make_job(tmp_path / "run", *settings), what, OwnEvaluation(lambda network: numbers, "apart"))


def test_what_a_recipe_may_stop_by_is_what_a_training_measures(make_job, what, tmp_path):
    """The list that a metric is looked up in before the training, against a training's own records."""
    settings = ("data.retrain_on_holdout=false", "retrain.evaluate_every=1", "retrain.losses.circle.weight=0.1")
    settings += ("retrain.losses.center.weight=5e-4", "retrain.losses.centroid.weight=0.1")
    job = make_job(tmp_path / "run", *settings)
    (record,) = read_metrics(retrain(job, what))
    assert record.keys() - {"epoch"} == {*HELD_OUT, *TAGS, *loss_names(job.experiment.retrain.losses)}

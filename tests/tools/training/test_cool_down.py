"""``tools/retrain.py --cool-down``: an interrupted training is ended early."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from evaluation.comparison.row import read_result
from reid.engine.recipe import Recipe
from reid.engine.recipe.schedule import ScheduleConfig, rate_factor
from reid.engine.runs.checkpoint import load_state, save_state
from reid.engine.runs.run_folder import append_metrics, read_metrics
from reid.errors import UserError
from reid.files import read_yaml, write_text
from tools.jobs.training.cool_down import CoolDown, begun, take_over
from tools.jobs.training.looks import BEST, missing_best

SHORT = ("retrain.schedule.warmup=0", "retrain.schedule.final=0.1", "retrain.checkpoint_every=1")


@pytest.fixture
def train(call, small_arch):
    """Trains for four epochs, or what the options say, with the demo's data made small (``call``)."""

    def run(out: Path, *options: object, epochs: int = 4):
        settings = [part for each in (*SHORT, f"retrain.epochs={epochs}") for part in ("--set", each)]
        return call("retrain", "--arch", small_arch, "--out", out, *settings, *options)

    return run


def _state(run: Path) -> str:
    files = sorted(path for path in run.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(str(path).encode() + path.read_bytes() for path in files)).hexdigest()


@pytest.fixture
def interrupted(train, tmp_path, monkeypatch) -> Path:
    """A training of four epochs that was killed in its third."""
    import reid.engine.trainer as trainer

    real = trainer.run_epoch

    def killed(step, batches, epoch, *rest):
        if epoch == 3:
            raise KeyboardInterrupt
        return real(step, batches, epoch, *rest)

    run = tmp_path / "whole"
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "run_epoch", killed)
        assert train(run).code != 0
    assert [record["epoch"] for record in read_metrics(run)] == [1, 2]
    return run


def test_goes_on_from_there_with_a_falling_rate(train, interrupted, tmp_path):
    before, ended = _state(interrupted), tmp_path / "ended"
    # How steps are computed is the new machine's affair.
    done = train(ended, "--cool-down", interrupted, "--cool-down-epochs", 2, "--set", "retrain.channels_last=false")
    assert done.code == 0, done.err
    assert _state(interrupted) == before
    old, new = read_metrics(interrupted), read_metrics(ended)
    assert new[:2] == old and [record["epoch"] for record in new] == [1, 2, 3, 4]
    config = read_yaml(ended / "config.yaml")
    rate, schedule = config["recipe"]["optimizer"]["lr"], config["recipe"]["schedule"]
    assert schedule["planned"] == 4 and schedule["cool_down"] == 2 and config["recipe"]["epochs"] == 4
    # The middle of a cosine from 1 to 0.1 is 0.55; a straight line from there ends at 0.1.
    assert old[-1]["lr"] / rate > 0.55 > new[2]["lr"] / rate > new[3]["lr"] / rate > 0.1
    row = read_result(ended)
    assert row.epochs == 4 and "cooled down over 2 epochs after 2 of 4" in row.notes
    assert "cooled down" in row.name


def test_one_that_stopped_early_is_ended_all_the_same(train, tmp_path):
    """The ending has the records of the run, in which there was no gain: by these it would be over at once."""
    held = ("data.retrain_on_holdout=false", "retrain.evaluate_every=1")
    stopping = [*held, "retrain.early_stopping={patience: 1, minimum_gain: 1}"]
    options = [part for each in stopping for part in ("--set", each)]
    assert train(tmp_path / "stopped", *options).code == 0
    assert [record["epoch"] for record in read_metrics(tmp_path / "stopped")] == [1, 2]
    done = train(tmp_path / "ended", *options, "--cool-down", tmp_path / "stopped", "--cool-down-epochs", 2)
    assert done.code == 0, done.err
    assert [record["epoch"] for record in read_metrics(tmp_path / "ended")] == [1, 2, 3, 4]
    row = read_result(tmp_path / "ended")
    assert row.epochs == 4 and row.notes == ("cooled down over 2 epochs after 2 of 4",)


def test_another_seed_ends_it_otherwise(train, interrupted, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for run, seed in ((one, 0), (two, 7)):
        done = train(run, "--cool-down", interrupted, "--cool-down-epochs", 1, "--seed", seed)
        assert done.code == 0, done.err
    first, second = (read_metrics(run) for run in (one, two))
    assert first[:2] == second[:2] and first[2]["loss"] != second[2]["loss"] and first[2]["lr"] == second[2]["lr"]
    assert read_result(one).notes == ("cooled down over 1 epoch after 2 of 4",)
    assert read_result(two).notes == ("cooled down over 1 epoch after 2 of 4 by seed 0",) and read_result(two).seed == 7


@pytest.mark.slow
def test_can_be_interrupted_itself(train, interrupted, tmp_path):
    whole, broken = tmp_path / "ended", tmp_path / "broken"
    assert train(whole, "--cool-down", interrupted, "--cool-down-epochs", 1).code == 0
    assert train(broken, "--cool-down", interrupted, "--cool-down-epochs", 1).code == 0
    (broken / "checkpoint.pt").unlink()  # as if killed before the first epoch of its own
    assert train(broken, "--cool-down", interrupted, "--cool-down-epochs", 1, "--resume").code == 0
    ours, theirs = (load_file(run / "last.safetensors") for run in (whole, broken))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert train(broken, "--cool-down", interrupted, "--cool-down-epochs", 2, "--resume").code == 2


@pytest.mark.slow
def test_both_can_still_go_on(train, interrupted, refused, tmp_path):
    ended = tmp_path / "ended"
    cool_down = ("--cool-down", interrupted, "--cool-down-epochs", 1)
    assert train(ended, *cool_down).code == 0
    assert train(interrupted, "--resume").code == 0
    assert [record["epoch"] for record in read_metrics(interrupted)] == [1, 2, 3, 4]
    assert train(ended, *cool_down, "--resume").code == 0
    assert [record["epoch"] for record in read_metrics(ended)] == [1, 2, 3]
    other = ("--cool-down", ended, "--cool-down-epochs", 1, "--resume")
    refused(train(ended, *other), "started with another configuration .cooled_down.run: ")


def _run(folder: Path, epochs_done: int, **config) -> Path:
    """As much of a training as ``begun`` reads."""
    write_text(folder / "config.yaml", yaml.safe_dump(config))
    save_state(folder / "checkpoint.pt", {"epoch": epochs_done})
    return folder


@pytest.mark.parametrize("seed", [{}, {"seed": 3}])
def test_a_run_is_ended_from_where_it_was_whatever_came_of_it(tmp_path, seed):
    """At first its seed was not kept beside the epochs, and is then the run's own."""
    run = _run(tmp_path / "run", 2, seed=3)
    what, recipe = CoolDown(run, 2), Recipe(epochs=9)
    first = begun(what, recipe, tmp_path / "out")
    assert first.noted == {"run": str(run), "epochs_done": 2, "seed": 3} and not first.goes_on
    noted = {"run": str(run), "epochs_done": 2, **seed}
    out = _run(tmp_path / "out", 3, cooled_down=noted)
    _run(run, 9, seed=3)
    again = begun(what, recipe, out)
    assert (again.noted, again.goes_on) == (noted, True) and again.words(0) == first.words(0)
    assert (again.recipe, again.done, again.planned, again.seed) == (first.recipe, 2, 9, 3)
    (out / "checkpoint.pt").unlink()  # it was killed before it had taken the run's over
    with pytest.raises(UserError, match=r"it has done 9 epochs by now, and .*out, .* started after 2; give another"):
        begun(what, recipe, out)
    _run(run, 2, seed=3)
    assert begun(what, recipe, out).done == 2


def test_the_rate_goes_on_from_where_it_was(tmp_path):
    """Also of a recipe whose curve is made for more epochs than it trains."""
    run, per_epoch = _run(tmp_path / "run", 6, seed=0), 10
    recipe = Recipe(epochs=8, schedule=ScheduleConfig(planned=20, final=0.1))
    ended = begun(CoolDown(run, 2), recipe, tmp_path / "out").recipe
    was, now = (rate_factor(each.schedule, 6, each.epochs, per_epoch) for each in (recipe, ended))
    assert now == pytest.approx(was) and ended.epochs == 8
    assert rate_factor(ended.schedule, 8, 8, per_epoch) == pytest.approx(0.1)


def test_a_rate_that_is_falling_to_its_end_is_not_raised_again(tmp_path):
    recipe = Recipe(epochs=9, schedule=ScheduleConfig(name="constant", cool_down=3))
    what = CoolDown(_run(tmp_path / "run", 6, seed=0), 2)
    assert begun(what, recipe, tmp_path / "out").done == 6
    _run(tmp_path / "run", 7, seed=0)
    with pytest.raises(
        UserError, match="been falling to its end since epoch 6 of 9 .* has done 7; continue .* --resume"
    ):
        begun(what, recipe, tmp_path / "out")


def test_a_run_that_goes_on_meanwhile(tmp_path):
    """Between the first look at it and the taking over, which is after the data have been opened."""
    run, out = _run(tmp_path / "run", 3, seed=0), tmp_path / "out"
    with pytest.raises(
        UserError, match="another process is continuing it, .* 3 epochs by now instead of 2; repeat the command"
    ):
        take_over(CoolDown(run, 2), 2, out)
    assert not (out / "checkpoint.pt").exists()
    take_over(CoolDown(run, 2), 3, out)
    assert load_state(out / "checkpoint.pt") == {"epoch": 3}


@pytest.mark.parametrize(
    ("scores", "mode", "taken"),
    [
        ((0.1, 0.3, 0.2), "max", True),
        ((0.1, 0.3, 0.4), "max", False),
        ((0.1, 0.3, 0.4), "min", True),
        ((0.3, 0.2, 0.1), "min", False),
        ((), "max", False),
    ],
)
def test_the_best_weights_so_far_are_taken_over(tmp_path, scores, mode, taken):
    """No later epoch of the ending may be as good. Weights that are kept of an epoch behind the checkpoint are not."""
    run, out = _run(tmp_path / "run", 2, seed=0), tmp_path / "out"
    for epoch, score in enumerate(scores, start=1):
        append_metrics(run, {"epoch": epoch, "holdout_mAP": score})
    (run / BEST).write_bytes(b"best")
    take_over(CoolDown(run, 2), 2, out, mode=mode)
    assert (out / BEST).exists() == taken and (not taken or (out / BEST).read_bytes() == b"best")
    notes = missing_best(out, Recipe(keep_best=True), taken_over=True)
    assert len(notes) == (not taken) and all(
        "came after the checkpoint that it continues from" in note for note in notes
    )
    assert missing_best(out, Recipe()) == ()


def test_refusals(train, interrupted, refused, tmp_path):
    out = tmp_path / "ended"
    for options, epochs, message in (
        (("--cool-down", tmp_path / "none"), 4, "there is no run in it"),
        (("--cool-down", interrupted), 2, "all of this recipe's 2; give the --epochs"),
        (("--cool-down", interrupted, "--cool-down-epochs", 0), 4, "must be at least 1"),
        (
            ("--cool-down", interrupted, "--cool-down-epochs", 10**6),
            4,
            "with the 2 already done they exceed 1000000; give fewer",
        ),
        (("--cool-down", interrupted, "--repeats", 2), 4, "leave --repeats out"),
        (("--cool-down-epochs", 3), 4, "needs --cool-down; give --cool-down RUN too"),
        (("--cool-down", interrupted), 5, "recipe.epochs: 4 then, 5 now"),
        (("--cool-down", interrupted, "--set", "retrain.optimizer.lr=0.01"), 4, "recipe.optimizer.lr: .* now"),
    ):
        refused(train(out, *options, epochs=epochs), message)
        assert not out.exists()

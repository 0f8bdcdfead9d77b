"""The training loop on two gloo processes against one: losses, weights, averages, and who writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from reid.engine.machine.distributed import SINGLE
from reid.engine.runs.checkpoint import load_state
from reid.engine.runs.run_folder import read_metrics
from reid.engine.trainer import STATE

PROGRAM = Path(__file__).with_name("fit_program.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, run_twice) -> Path:
    """What two real processes leave, of a training that was interrupted after its first epoch and within its second."""
    folder = tmp_path_factory.mktemp("fit")
    (folder / "run").mkdir()
    for rank, said in enumerate(run_twice(PROGRAM, folder)):
        (folder / f"said{rank}").write_text(said)
    return folder


@pytest.fixture(scope="module")
def ranks(folder) -> list[dict]:
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, load_program):
    """The same training in this process, without a break: its folder and what it ends with."""
    run = tmp_path_factory.mktemp("alone")
    return run, load_program(PROGRAM).train(SINGLE, run, 5, seed=7)


def _close(first: dict, second: dict, tolerance: float = 1e-5) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(
            second[name], value, rtol=1e-4, atol=tolerance, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_gradients_are_those_of_one_process(ranks, tmp_path, load_program):
    """Of the last step of the first epoch, of every loss at once."""
    one = load_program(PROGRAM).train(SINGLE, tmp_path, 1, seed=7)["gradients"]
    assert max(float(gradient.abs().max()) for gradient in one.values()) > 0.05
    for rank in ranks:
        _close(one, rank["first"]["gradients"])


def test_weights_and_averages_are_those_of_one_process(ranks, alone):
    _, result = alone
    for rank in ranks:
        _close(result["task"], rank["second"]["task"])
        _close(result["kept"], rank["second"]["kept"])
    assert not all(torch.equal(value, result["kept"][name]) for name, value in result["task"].items())


def test_processes_end_with_the_same_weights_bit_by_bit(ranks):
    first, second = (rank["second"] for rank in ranks)
    for what in ("task", "kept"):
        assert all(torch.equal(value, second[what][name]) for name, value in first[what].items())


def test_records_are_those_of_one_process(folder, alone):
    records, wanted = read_metrics(folder / "run"), read_metrics(alone[0])
    assert [record["epoch"] for record in wanted] == [1, 2, 3]  # patience 1: epoch 3 is the first without a gain
    for own, one in zip(records, wanted, strict=True):
        assert own.keys() == one.keys() >= {"loss", "loss_distillation", "loss_center", "gradient_norm", "look"}
        for key, value in one.items():
            if key not in ("images_per_second", "peak_memory_mib"):
                assert own[key] == pytest.approx(value, rel=1e-5 if key.startswith("loss") else 1e-4, abs=1e-5), key


def test_the_doctor_says_the_same(folder, alone):
    said, wanted = (json.loads((run / "doctor.json").read_text()) for run in (folder / "run", alone[0]))
    assert [each["trouble"] for each in said] == [each["trouble"] for each in wanted]


def test_both_go_on_within_the_epoch(ranks, alone):
    """After three steps, all that the first process kept; what they end with is compared above."""
    per_epoch = 8
    assert [rank["second"]["begun"] for rank in ranks] == [per_epoch + 3] * 2 and alone[1]["begun"] == 0


def test_the_first_process_alone_looks_writes_and_speaks(folder, ranks):
    run = folder / "run"
    assert [rank["second"]["looks"] for rank in ranks] == [2, 0] and ranks[1]["first"]["looks"] == 0
    # Three trainings one after another, one events file each.
    assert len(list((run / "tensorboard").iterdir())) == 3
    assert load_state(run / STATE)["epoch"] == 3
    said = [(folder / f"said{rank}").read_text() for rank in range(2)]
    assert "training" in said[0] and said[0].count("estimated") == 1
    assert "training" not in said[1] and "estimated" not in said[1]
    assert {path.name for path in run.iterdir()} == {"checkpoint.pt", "doctor.json", "metrics.jsonl", "tensorboard"}

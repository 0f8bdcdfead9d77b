"""``tools/search.py --finalists``: training of the best candidates, without a look at the test set."""

from __future__ import annotations

import json

import pytest
import torch

import tools.jobs.search.finalists
import tools.jobs.training.result
import tools.jobs.training.retrain
from evaluation.features.extraction import evaluate_network
from search.history import Candidate
from supernet.files import load_arch, load_space
from supernet.space.genome import smallest
from supernet.trained.checkpoint import load_network
from tools.jobs.data import open_source, search_data
from tools.jobs.search.finalists import train_finalists
from tools.jobs.training.wanted import network_to_train

FINALISTS = ("--finalists", 2, "--set", "search.finalists.epochs=1")


@pytest.fixture
def no_test_set(monkeypatch):
    def refuse(*arguments, **rest):
        raise AssertionError("a search looked at the test set")

    monkeypatch.setattr(tools.jobs.training.result, "score_on_test", refuse)


def test_finalists_are_trained_scored_and_chosen_from(call, supernet_run, tmp_path, make_job, no_test_set):
    out = tmp_path / "search"
    done = call("search", "--supernet", supernet_run, "--out", out, *FINALISTS)
    assert done.code == 0, done.err
    told = json.loads((out / "search.json").read_text())["finalists"]
    scores = [row["trained_score"] for row in told["best_first"]]
    assert scores == sorted(scores, reverse=True) and len(scores) == 2
    job = make_job(tmp_path / "none")
    images = search_data(open_source(job.experiment.data, None), job.experiment.data)
    for row, letter in zip(told["best_first"], "AB", strict=True):
        run = out / "finalists" / f"T{row['trial']}-inherited-1ep"
        network, spec = load_network(run / "last.safetensors", torch.device("cpu"))
        score = evaluate_network(network, images.query, images.gallery, spec.input_size, "cpu")
        assert score.mAP == pytest.approx(row["trained_score"], abs=1e-6)
        named = load_arch(out / "archs" / f"MLR-6M-{letter}.yaml")
        assert named.arch == spec.backbone and named.origin["trained_score"] == row["trained_score"]
        assert not (run / "result.json").exists() and (run / "report.html").exists()
    assert "finalists, by their held-out mAP after their own training:" in done.out


def test_an_interrupted_search_goes_on_with_the_finalist_that_is_left(
    call, supernet_run, tmp_path, monkeypatch, no_test_set
):
    out, whole = tmp_path / "search", tmp_path / "whole"
    options = ("--supernet", supernet_run, *FINALISTS, "--set", "search.finalists.start=scratch")
    trained = []

    def once(job, what):
        if trained:
            raise KeyboardInterrupt
        trained.append(job.out.name)
        return tools.jobs.training.retrain.retrain(job, what)

    with monkeypatch.context() as patch:
        patch.setattr(tools.jobs.search.finalists, "retrain", once)
        assert call("search", "--out", out, *options).code == 130
    assert not json.loads((out / "search.json").read_text())["finished"]
    weights = out / "finalists" / trained[0] / "last.safetensors"
    before = weights.read_bytes()
    assert call("search", "--out", out, *options, "--resume").code == 0
    assert weights.read_bytes() == before
    assert call("search", "--out", whole, *options).code == 0
    first, second = (json.loads((folder / "search.json").read_text())["finalists"] for folder in (out, whole))
    assert first == second


def test_several_processes_are_refused(call, refused, supernet_run, tmp_path, monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    done = call("search", "--supernet", supernet_run, "--out", tmp_path / "search", *FINALISTS)
    refused(done, "search.finalists.count=2: finalists are trained in one process")


def test_finalists_see_images_of_the_size_that_the_supernet_scored_them_at(
    make_job, supernet_run, tmp_path, monkeypatch
):
    """Costs are counted at another one, which candidates have."""
    job = make_job(tmp_path / "search", "input_size=null", "search.cost_input_size=[128, 64]")
    space = load_space(job.experiment.space)
    arch = smallest(space.at((128, 64)))
    candidate = Candidate(3, "random", 1, 1, 0.5, 0.5, 0.0, {}, arch)
    seen = []

    def stand_in(job, what):
        seen.append(network_to_train(job, what)[0].backbone)
        return job.out

    monkeypatch.setattr(tools.jobs.search.finalists, "retrain", stand_in)
    monkeypatch.setattr(tools.jobs.search.finalists, "_score", lambda *arguments: 0.5)
    train_finalists(job, [supernet_run], None)([candidate])
    assert seen == [arch.at(space.input_size)] != [arch]

"""``tools/search.py`` with several supernets: their mean, and what goes on with it."""

from __future__ import annotations

import json

import pytest
import torch

from evaluation.features.extraction import evaluate_network
from reid.engine.machine.device import seeded
from search.history import read_candidates
from supernet.files import load_arch, load_space
from supernet.supernet import Supernet
from supernet.trained.checkpoint import load_network, save_supernet
from tools.jobs.data import open_source, search_data
from tools.jobs.runs.provenance import sha256


@pytest.fixture(scope="module")
def other_run(tmp_path_factory):
    run = tmp_path_factory.mktemp("supernet") / "other"
    with seeded(4):
        save_supernet(run / "supernet.safetensors", Supernet(load_space("tiny").at((64, 32))))
    return run


def _random(call, out, *options):
    done = call("search", "--out", out, "--strategy", "random", "--trials", 4, "--set", "search.top_k=1", *options)
    assert done.code == 0, done.err
    return read_candidates(out / "candidates.jsonl"), done


def test_candidates_have_the_mean_of_the_scores(call, refused, supernet_run, other_run, tmp_path):
    runs = (supernet_run, other_run)
    alone = [_random(call, tmp_path / run.name, "--supernet", run)[0] for run in runs]
    both = ("--supernet", supernet_run, "--supernet", other_run)
    together, done = _random(call, tmp_path / "both", *both)
    assert [each.arch for each in together] == [each.arch for each in alone[0]] == [each.arch for each in alone[1]]
    for mean, first, second in zip(together, *alone, strict=True):
        assert first.score != second.score
        assert mean.score == pytest.approx((first.score + second.score) / 2, abs=1e-9)
        assert mean.rank1 == pytest.approx((first.rank1 + second.rank1) / 2, abs=1e-9)
    assert "scores    mean over 2 supernets" in done.out
    digests = [sha256(run / "supernet.safetensors") for run in runs]
    (arch,) = (tmp_path / "both" / "archs").iterdir()
    assert load_arch(arch).origin["supernet_sha256"] == digests

    out = ("--out", tmp_path / "both", "--strategy", "random", "--trials", 6, "--resume")
    refused(call("search", *out, "--supernet", supernet_run), r"another origin\.supernet")
    refused(call("search", *out, "--supernet", other_run, "--supernet", supernet_run), r"another origin\.supernet")


def test_each_finalist_is_trained_from_each_supernet(call, supernet_run, other_run, tmp_path, make_job):
    options = ("--finalists", 1, "--set", "search.finalists.epochs=1")
    _, done = _random(call, tmp_path / "out", "--supernet", supernet_run, "--supernet", other_run, *options)
    assert "1 epoch from each supernet's weights, scored by the mean" in done.out
    (row,) = json.loads((tmp_path / "out" / "search.json").read_text())["finalists"]["best_first"]
    folders = ("", f"supernet-{sha256(other_run / 'supernet.safetensors')[:8]}")
    networks = [
        load_network(
            tmp_path / "out" / "finalists" / folder / f"T{row['trial']}-inherited-1ep" / "last.safetensors",
            torch.device("cpu"),
        )
        for folder in folders
    ]
    data = make_job(tmp_path / "none").experiment.data
    held = search_data(open_source(data, None), data)
    scores = [
        evaluate_network(network, held.query, held.gallery, spec.input_size, "cpu").mAP for network, spec in networks
    ]
    assert scores[0] != scores[1] and row["trained_score"] == pytest.approx(sum(scores) / 2, abs=1e-6)


def test_what_cannot_be_searched_together(call, refused, supernet_run, other_run, tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "supernet.safetensors").write_bytes((supernet_run / "supernet.safetensors").read_bytes())
    out = ("--out", tmp_path / "out", "--supernet", supernet_run)
    refused(
        call("search", *out, "--supernet", tmp_path / "copy"), r"--supernet: .* are the same supernet; name it once$"
    )
    learnt = ("--learn-from", "docs/results/ranking/ranking.json")
    refused(call("search", *out, "--supernet", other_run, *learnt), "--learn-from uses the scores of one supernet, but")
    refused(call("search", *out, "--supernet", tmp_path / "none"), "no trained supernet at .*none")
    assert not (tmp_path / "out").exists()

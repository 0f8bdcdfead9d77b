"""What ``tools/evaluate.py`` writes of a checkpoint, an ONNX file and saved features."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import evaluation.features.cache
import tools.jobs.evaluate.result
from evaluation.comparison.row import read_result, write_result
from evaluation.features.files import load_features
from evaluation.reranking import ReRanking, rerank_distances
from evaluation.retrieval.distances import pairwise_distances
from evaluation.retrieval.metrics import score_distances
from evaluation.retrieval.rules import RECORDS
from reid.config import config_to_dict, load_config
from reid.engine.recipe import Recipe
from reid.engine.runs.checkpoint import load_weights, read_about
from reid.files import read_json
from supernet.catalog import build, spec_from_dict
from supernet.trained.zoo import zoo_entries, zoo_weights
from tools.jobs.evaluate.known_training import KnownTraining, training_of
from tools.jobs.experiment import RECIPES

BOT = RECIPES / "bot.yaml"
SCORES = ("mAP", "mAP_trapezoid", "rank1", "rank5", "rank10", "rank20", "mINP", "queries", "skipped_queries")


def test_every_score_is_what_the_features_say(saved, runs):
    """The file's features, looked up by a plain loop."""
    with np.load(saved / "features.npz") as file:
        side = {
            name: [file[f"{name}_{key}"] for key in ("features", "pids", "camids")] for name in ("query", "gallery")
        }
        about = json.loads(str(file["about"]))
    (features, pids, camids), (others, gallery_pids, gallery_camids) = side["query"], side["gallery"]
    aps, trapezoids, firsts = [], [], []
    for feature, pid, camid in zip(features, pids, camids, strict=True):
        cosines = others @ feature / np.linalg.norm(others, axis=1)
        ranking = [n for n in np.argsort(-cosines) if gallery_pids[n] != -1]
        ranking = [n for n in ranking if not (gallery_pids[n] == pid and gallery_camids[n] == camid)]
        hits = np.array([gallery_pids[n] == pid for n in ranking])
        places = np.flatnonzero(hits) + 1
        found = np.arange(1, len(places) + 1)
        earlier = np.where(places > 1, (found - 1) / np.maximum(places - 1, 1), 1)
        aps.append(np.mean(found / places))
        trapezoids.append(np.mean((found / places + earlier) / 2))
        firsts.append(places[0])
    score, row = read_json(saved / "score.json"), read_result(saved)
    assert score["mAP"] == pytest.approx(np.mean(aps)) and score["mAP_trapezoid"] == pytest.approx(np.mean(trapezoids))
    assert score["rank1"] == np.mean(np.array(firsts) == 1) and score["queries"] == len(pids)
    assert (row.mAP, row.rank1) == (score["mAP"], score["rank1"])
    assert row.epochs == 1  # as the run's own row has it
    assert row.train_set == "first-set: 9 identities" and row.test_set.startswith(f"north: {len(pids)} queries")
    spec = spec_from_dict(read_about(runs["first"] / "last.safetensors"))
    assert about["network"] == "first" and about["data"] == "north" and about["input_size"] == list(spec.input_size)
    assert about["flip"] is False and len(about["weights_sha256"]) == 64


def test_the_row_says_how_the_network_was_trained(runs, tmp_path):
    """Of the best weights the epochs are not known; of a folder that says nothing, nothing is."""
    run, row = tmp_path / "run", read_result(runs["second"])
    shutil.copytree(runs["second"], run)
    shutil.copyfile(run / "last.safetensors", run / "best.safetensors")
    (run / "config.yaml").write_text(yaml.safe_dump({"seed": 7, "recipe": config_to_dict(load_config(Recipe, BOT))}))
    write_result(run, dataclasses.replace(row, seed=3, epochs=12, notes=("cooled down",)))
    own = KnownTraining(row.train_set, epochs=12, seed=3, recipe="bot", notes=("cooled down",))
    assert training_of(run / "last.safetensors", "") == own
    assert training_of(run / "best.safetensors", "") == dataclasses.replace(own, epochs=0, notes=())
    (run / "result.json").unlink()
    assert training_of(run / "last.safetensors", "?") == KnownTraining("?", seed=7, recipe="bot")
    (run / "config.yaml").write_text("- of another program\n")
    assert training_of(run / "last.safetensors", "?") == KnownTraining("?")
    entry = next(each for each in zoo_entries() if each.epochs)
    told = training_of(zoo_weights(entry.name), "")
    assert (told.epochs, told.seed, told.train_set) == (entry.epochs, entry.seed, entry.train_set)


def test_output_names_both_aps_and_the_rules(call, runs, sets, read_page, tmp_path, arguments):
    done = call("evaluate", *arguments(runs["first"], sets["north"], tmp_path / "out")[4:])
    assert done.code == 0, done.err
    score = read_json(tmp_path / "out" / "score.json")
    assert re.search(
        rf"^mAP \(step\) +{100 * score['mAP']:.1f} %\nmAP \(trapezoid\) +[\d.]+ %\nRank-1 ", done.out, re.M
    )
    assert "left out of every mean, and counted: queries without a right answer" in done.out
    assert "AUC" in done.out and "TPR at a false-match rate" in done.out
    roc = tmp_path / "out" / "roc.png"
    assert done.out.rstrip().endswith(f"report: {tmp_path / 'out' / 'report.html'}")
    page = read_page(tmp_path / "out" / "report.html")
    assert page.pictures == [roc.read_bytes()] and page.all("h1") == ["Evaluation of first on north"]
    cells, shares = page.all("td"), ("mAP", "mAP_trapezoid", "rank1", "rank5", "rank10", "rank20", "mINP")
    assert cells[1:14:2] == [f"{100 * score[key]:.1f} %" for key in shares]
    assert page.all("dd")[:2] == cells[1:4:2] and score["about"]["weights_sha256"] in cells
    told = page.all("p")
    assert {*score["rules"], *(f"note: {note}" for note in score["notes"])} <= set(told) and "AUC" in " ".join(told)
    assert all(line.strip() in done.out for line in told) and score["commit"] in page.all("code")[0]


def test_the_network_rests_the_second_time(call, saved, runs, sets, tmp_path, monkeypatch, arguments):
    def asked(*arguments, **named):
        raise AssertionError("the network was run again")

    monkeypatch.setattr(evaluation.features.cache, "extract_features", asked)
    done = call("evaluate", *arguments(runs["first"] / "last.safetensors", sets["north"], tmp_path / "out")[4:])
    assert done.code == 0
    first, again = (read_json(folder / "score.json") for folder in (saved, tmp_path / "out"))
    assert all(again[key] == first[key] for key in SCORES)
    with pytest.raises(AssertionError, match="run again"):
        call("evaluate", *arguments(runs["first"], sets["north"], tmp_path / "flip", "--flip")[4:])


def test_saved_features_score_the_same(call, saved, read_page, tmp_path):
    done = call(
        "evaluate", saved / "features.npz", "--calibrate", "test-half", "--fmr", 0.05, "--out", tmp_path / "out"
    )
    assert done.code == 0, done.err
    first, second = read_json(saved / "score.json"), read_json(tmp_path / "out" / "score.json")
    assert {key: first[key] for key in (*SCORES, "verification")} == {
        key: second[key] for key in (*SCORES, "verification")
    }
    assert second["about"]["network"] == "first" and second["threshold"]["fmr"] <= 0.05
    assert not (tmp_path / "out" / "result.json").exists(), "FLOPs and parameters are not known"
    page = read_page(tmp_path / "out" / "report.html")
    assert "FLOPs" not in page.all("dt") and f"cosine {second['threshold']['distance']:.4g}" in page.all("dd")


def test_metric_and_reranking(call, saved, tmp_path):
    options = ("--metric", "euclidean", "--rerank", "4,2,0.5", "--out", tmp_path / "out")
    done = call("evaluate", saved / "features.npz", *options)
    assert done.code == 0 and "re-ranked" in done.out and "Euclidean distance" in done.out
    features = load_features(saved / "features.npz")
    query, gallery = features.query, features.gallery
    gallery = gallery.select(gallery.pids != -1)
    labels = (query.pids, query.camids, gallery.pids, gallery.camids)
    plain = pairwise_distances(query.features, gallery.features, "euclidean")
    reranked = rerank_distances(query.features, gallery.features, ReRanking(4, 2, 0.5), "euclidean")
    score = read_json(tmp_path / "out" / "score.json")
    assert score["mAP"] == pytest.approx(score_distances(plain, *labels, rule=RECORDS).mAP)
    assert score["reranked"] == score_distances(reranked, *labels, rule=RECORDS).as_dict()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_onnx_file(call, saved, runs, sets, tmp_path, arguments):
    pytest.importorskip("onnxruntime")
    path = runs["first"] / "last.safetensors"
    spec = spec_from_dict(read_about(path))
    network = build(spec).eval()
    load_weights(path, network)
    example = torch.zeros(4, 3, *spec.input_size)
    torch.onnx.export(network, (example,), tmp_path / "first.onnx", dynamo=False)
    out = ("--save-features", tmp_path / "onnx.npz")
    done = call("evaluate", *arguments(tmp_path / "first.onnx", sets["north"], tmp_path / "out", *out)[4:])
    assert done.code == 0, done.err
    ours, theirs = load_features(saved / "features.npz"), load_features(tmp_path / "onnx.npz")
    for side in ("query", "gallery"):
        found, wanted = (getattr(each, side).features for each in (theirs, ours))
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))
    first, second = read_json(saved / "score.json"), read_json(tmp_path / "out" / "score.json")
    assert [second[key] for key in SCORES] == pytest.approx([first[key] for key in SCORES], abs=1e-3)
    assert second["about"]["runs_on"] == "CPUExecutionProvider"


@pytest.mark.parametrize(("fmr", "noted"), [(0.01, False), (1e-7, True)])
def test_threshold_on_strangers_of_the_other_set(call, runs, sets, tmp_path, fmr, noted, arguments):
    """The run's configuration says that it was trained elsewhere: held-out identities of the new set are strangers."""
    run = shutil.copytree(runs["first"], tmp_path / "run")
    (run / "config.yaml").write_text("dataset: synthetic\ndata: {holdout_identities: 6}\n")
    done = call("evaluate", *arguments(run, sets["north"], tmp_path / "out", "--fmr", fmr)[4:])
    assert done.code == 0, done.err
    score = read_json(tmp_path / "out" / "score.json")
    if noted:
        assert "threshold" not in score and re.search(r"cannot be measured on .*; give --fmr .* or more, or", done.out)
        return
    assert "threshold set on 6 held-out identities of north" in done.out
    assert score["threshold"]["fmr"] <= 0.01 and 0 <= score["threshold"]["test"]["fmr"] <= 1
    assert score["threshold"]["test"]["impostors"] == score["verification"]["impostors"]


def test_threshold_without_known_strangers(call, saved, runs, sets, tmp_path, arguments):
    """Nothing says what the network was trained on: half of the test identities serve, the other half is measured."""
    done = call("evaluate", *arguments(runs["first"], sets["north"], tmp_path / "out", "--fmr", 0.05)[4:])
    assert "threshold set on every other test identity, measured on the others" in done.out
    score = read_json(tmp_path / "out" / "score.json")
    assert score["threshold"]["test"]["genuine"] + score["threshold"]["genuine"] == score["verification"]["genuine"]
    held = ("--calibrate", saved / "features.npz", "--fmr", 0.05)
    done = call("evaluate", *arguments(runs["first"], sets["south"], tmp_path / "file", *held)[4:])
    assert done.code == 0 and "threshold set on the features in " in done.out


def test_tensorboard(call, saved, tmp_path):
    done = call("evaluate", saved / "features.npz", "--projector", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    folder = tmp_path / "out" / "tensorboard"
    values = {}
    for path in folder.glob("events*"):
        events = EventAccumulator(str(path)).Reload()
        values |= {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"]}
    score = read_json(tmp_path / "out" / "score.json")
    assert values["test/mAP (step)"] == pytest.approx(score["mAP"], rel=1e-6)
    assert values["test/mAP (trapezoid)"] == pytest.approx(score["mAP_trapezoid"], rel=1e-6)
    assert values["verification/EER"] == pytest.approx(score["verification"]["eer"], rel=1e-6)
    (labels,) = folder.rglob("metadata.tsv")
    gallery = load_features(saved / "features.npz").gallery
    lines = labels.read_text().splitlines()
    assert lines[0] == "identity\tcamera" and len(lines) == 1 + int((gallery.pids > 0).sum())
    assert not list(folder.rglob("*.png"))
    again = call("evaluate", saved / "features.npz", "--replace", "--out", tmp_path / "out")
    assert again.code == 0 and [path.name[:6] for path in folder.iterdir()] == ["events"], "of the first nothing stays"


def test_data_without_cameras(call, runs, sets, tmp_path, arguments):
    """A table without the column: nothing is passed over for its camera."""
    lines = ["path,pid,split"]
    for folder, part in (("query", "query"), ("bounding_box_test", "gallery")):
        images = sorted(
            path for path in (sets["north"] / folder).glob("*.jpg") if path.name[:2] == "00" and path.name[:4] != "0000"
        )
        lines += [f"{path},{path.name[:4]},{part}" for path in images]
    (tmp_path / "own.csv").write_text("\n".join(lines))
    out = tmp_path / "out"
    command = arguments(
        runs["first"], None, out, "--dataset", f"csv={tmp_path / 'own.csv'}", "--save-features", out / "f.npz"
    )
    done = call("evaluate", *command[4:])
    assert done.code == 0 and re.search(r"^  passed over: identity -1; always wrong: identity 0$", done.out, re.M)
    features = load_features(out / "f.npz")
    cosines = (
        torch.nn.functional.normalize(features.query.features)
        @ torch.nn.functional.normalize(features.gallery.features).T
    )
    nearest = features.gallery.pids[cosines.argmax(dim=1)]
    assert read_json(out / "score.json")["rank1"] == (nearest == features.query.pids).float().mean()
    assert features.query.camids.unique().tolist() == [0]


@pytest.fixture(scope="module")
def campus(sets, tmp_path_factory) -> Path:
    """A CUHK01 of 4 persons; whose the images are is of no account."""
    root = tmp_path_factory.mktemp("cuhk01")
    (root / "campus").mkdir()
    for number, path in enumerate(sorted((sets["north"] / "bounding_box_train").glob("*.jpg"))[:16]):
        shutil.copy(path, root / "campus" / f"{number // 4 + 1:04d}{number % 4 + 1:03d}.jpg")
    return root


def test_mean_over_all_splits(call, runs, campus, tmp_path, refused, arguments):
    """Of a network whose training nothing tells of, which is said."""
    config = f"data.dataset={{name: cuhk01, root: {campus}, check_counts: false}}"
    scores = {}
    for split in ("0", "1", "all"):
        command = arguments(runs["first"], None, tmp_path / split, "--set", config, "--split", split)
        done = call("evaluate", *command[4:])
        assert done.code == 0, done.err
        assert "it is not known what the network was trained on" in done.out
        scores[split] = read_json(tmp_path / split / "score.json")
    assert (
        scores["all"]["queries"] == 20 * scores["0"]["queries"] and "mean over 20 splits" in scores["all"]["notes"][0]
    )
    assert scores["0"]["about"]["data"] == "cuhk01-split00" and scores["1"]["about"]["data"] == "cuhk01-split01"
    assert scores["all"]["about"]["data"] == "cuhk01-split00 and its other splits, 20 together"
    assert "on cuhk01-split00 and its other splits, 20 together</title>" in (tmp_path / "all/report.html").read_text()
    refused(call("evaluate", *command[4:-1], "20", "--resume"), "has no split 20; give one from 0 to 19")


def test_persons_that_were_trained_on_are_not_tested(call, runs, campus, tmp_path, refused, arguments):
    """Other splits of the run's own data set have other training persons; split 3 has those of split 2."""
    run = shutil.copytree(runs["first"], tmp_path / "run")
    data = f"{{dataset: {{name: cuhk01, root: {campus}, split: 2, check_counts: false}}}}"
    (run / "config.yaml").write_text(f"dataset: cuhk01-split02\ndata: {data}\n")
    command = ("evaluate", run, "--out", tmp_path / "out", "--device", "cpu")
    for split in ("0", "all"):
        done = call(*command, "--split", split, tiny=False)
        refused(done, "cuhk01 .*split 0 tests persons that the network was trained on, by cuhk01 .*split 2: score it")
    named = ("--set", f"data.dataset={{name: cuhk01, root: {campus}, check_counts: false}}")
    refused(call(*command, *named, tiny=False), "split 0 tests persons that the network was trained on")
    refused(call("visualize", *command[1:], "--split", "7", tiny=False), "split 7 tests persons")
    assert not (tmp_path / "out").exists()
    done = call(*command, "--split", "3", tiny=False)
    assert done.code == 0 and "no configuration says" not in done.out, done.err


def test_an_evaluation_is_there_when_all_of_it_is(call, saved, tmp_path, monkeypatch):
    """One that is killed before its page is made again, unasked."""

    def killed(*what):
        raise KeyboardInterrupt

    command = ("evaluate", saved / "features.npz", "--out", tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(tools.jobs.evaluate.result, "write_evaluation_report", killed)
        assert call(*command).code == 130
    assert call(*command).code == 0 and (tmp_path / "out" / "report.html").is_file()


def test_nothing_of_the_evaluation_that_is_replaced_stays(call, saved, supernet_run, tmp_path, refused):
    """Saved features have no row and no weights; the supernet's arch, which was evaluated there before, had both."""
    out = ("--out", tmp_path / "out")
    done = call("evaluate", supernet_run / "supernet.safetensors", "--arch", "smallest", *out)
    assert done.code == 0 and f"result: {tmp_path / 'out'}/result.json, every score" in done.out, done.err
    names = {"result.json", "score.json", "last.safetensors", "roc.png", "report.html"}
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert {path.name for path in before} == names
    with np.load(saved / "features.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "strangers.npz", **{**arrays, "gallery_pids": arrays["gallery_pids"] + 5000})
    refused(call("evaluate", tmp_path / "strangers.npz", "--replace", *out), "no query has a right answer")
    assert {path: path.read_bytes() for path in before} == before
    own = call("evaluate", tmp_path / "out", "--replace", *out)
    assert own.code == 0 and {path.name for path in before if path.exists()} == names, own.err
    assert (tmp_path / "out" / "last.safetensors").read_bytes() == before[tmp_path / "out" / "last.safetensors"]
    done = call("evaluate", saved / "features.npz", "--replace", *out)
    assert done.code == 0 and {path.name for path in before if path.exists()} == {
        "score.json",
        "roc.png",
        "report.html",
    }
    assert "result.json" not in done.out

"""``tools/evaluate.py`` and ``tools/cross_domain.py`` on networks with random weights and tiny synthetic sets."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import evaluation.features.cache
from evaluation.comparison import ResultRow, read_result, write_result
from evaluation.features.files import load_features
from evaluation.reranking import ReRanking, rerank_distances
from evaluation.retrieval.distances import pairwise_distances
from evaluation.retrieval.metrics import score_distances
from evaluation.retrieval.rules import RECORDS
from reid.data.synthetic import SyntheticConfig, make_synthetic
from reid.engine.checkpoint import load_weights, read_about, save_weights
from reid.models.network import ReidNetwork
from supernet.catalog import NetworkSpec, build, spec_from_dict, spec_to_dict
from supernet.files import load_space
from supernet.space import smallest

SCORES = ("mAP", "mAP_trapezoid", "rank1", "rank5", "rank10", "rank20", "mINP", "queries", "skipped_queries")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Two trained networks, as far as their folders tell."""
    folders, root = {}, tmp_path_factory.mktemp("runs")
    arch = smallest(load_space("tiny"))
    for seed, name in enumerate(("first", "second")):
        torch.manual_seed(seed)
        spec = NetworkSpec(name, arch, arch.input_size)
        save_weights(root / name / "last.safetensors", build(spec), spec_to_dict(spec))
        row = ResultRow(
            name, "searched", 0.1, 0.1, 1, 1, None, 1, seed, arch.input_size, f"{name}-set: 9 identities", str(root)
        )
        write_result(root / name, row)
        folders[name] = root / name
    return folders


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, Path]:
    """Two worlds in Market-1501's layout."""
    root = tmp_path_factory.mktemp("sets")
    numbers = {"distractors": 3, "junk": 2, "images_per_camera": 2, "cameras": 3, "size": (64, 32)}
    return {
        name: make_synthetic(
            root / name, SyntheticConfig(train_identities=22, test_identities=5, seed=seed, **numbers), progress=False
        )
        for name, seed in (("north", 5), ("south", 6))
    }


def score_of(folder: Path) -> dict:
    return json.loads((folder / "score.json").read_text())


def refused(done: SimpleNamespace, message: str) -> None:
    """Progress bars may come before; the error is the one last line."""
    lines = [line for line in done.err.replace("\r", "\n").splitlines() if line.strip()]
    assert done.code == 2 and lines[-1].startswith("error: "), done.err
    assert sum(line.startswith("error: ") for line in lines) == 1 and "Traceback" not in done.err
    assert re.search(message, lines[-1]), lines[-1]


@pytest.fixture(scope="module")
def saved(runs, sets, tmp_path_factory, load_tool) -> Path:
    """A first evaluation: all that later ones are compared with."""
    out = tmp_path_factory.mktemp("saved")
    load_tool("evaluate")(arguments(runs["first"], sets["north"], out, "--save-features", out / "features.npz"))
    return out


def arguments(source: Path, data: Path, out: Path, *more: object) -> list[str]:
    config = Path(__file__).parents[2] / "configs" / "demo.yaml"
    common = ["--config", config, "--device", "cpu", "--set", "data.holdout_identities=6"]
    data_set = ["--dataset", f"market-layout={data}"] if data else []
    return [str(each) for each in (*common, source, *data_set, "--out", out, *more)]


# What is written.


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
    score, row = score_of(saved), read_result(saved)
    assert score["mAP"] == pytest.approx(np.mean(aps)) and score["mAP_trapezoid"] == pytest.approx(np.mean(trapezoids))
    assert score["rank1"] == np.mean(np.array(firsts) == 1) and score["queries"] == len(pids)
    assert (row.mAP, row.rank1) == (score["mAP"], score["rank1"])
    assert row.train_set == "first-set: 9 identities" and row.test_set.startswith(f"north: {len(pids)} queries")
    spec = spec_from_dict(read_about(runs["first"] / "last.safetensors"))
    assert about["network"] == "first" and about["data"] == "north" and about["input_size"] == list(spec.input_size)
    assert about["flip"] is False and len(about["weights_sha256"]) == 64


def test_output_names_both_aps_and_the_rules(call, runs, sets, tmp_path):
    done = call("evaluate", *arguments(runs["first"], sets["north"], tmp_path / "out")[4:])
    assert done.code == 0, done.err
    score = score_of(tmp_path / "out")
    assert re.search(
        rf"^mAP \(step\) +{100 * score['mAP']:.1f} %\nmAP \(trapezoid\) +[\d.]+ %\nRank-1 ", done.out, re.M
    )
    assert "left out of every mean, and counted: queries without a right answer" in done.out
    assert "AUC" in done.out and "TPR at a false-match rate" in done.out
    assert (tmp_path / "out" / "roc.png").exists()


def test_the_network_rests_the_second_time(call, saved, runs, sets, tmp_path, monkeypatch):
    def asked(*arguments, **named):
        raise AssertionError("the network was run again")

    monkeypatch.setattr(evaluation.features.cache, "extract_features", asked)
    done = call("evaluate", *arguments(runs["first"] / "last.safetensors", sets["north"], tmp_path / "out")[4:])
    assert done.code == 0 and all(score_of(tmp_path / "out")[key] == score_of(saved)[key] for key in SCORES)
    with pytest.raises(AssertionError, match="run again"):
        call("evaluate", *arguments(runs["first"], sets["north"], tmp_path / "flip", "--flip")[4:])


def test_saved_features_score_the_same(call, saved, tmp_path):
    done = call(
        "evaluate", saved / "features.npz", "--calibrate", "test-half", "--fmr", 0.05, "--out", tmp_path / "out"
    )
    assert done.code == 0, done.err
    first, second = score_of(saved), score_of(tmp_path / "out")
    assert {key: first[key] for key in (*SCORES, "verification")} == {
        key: second[key] for key in (*SCORES, "verification")
    }
    assert second["about"]["network"] == "first" and second["threshold"]["fmr"] <= 0.05
    assert not (tmp_path / "out" / "result.json").exists(), "FLOPs and parameters are not known"


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
    score = score_of(tmp_path / "out")
    assert score["mAP"] == pytest.approx(score_distances(plain, *labels, rule=RECORDS).mAP)
    assert score["reranked"] == score_distances(reranked, *labels, rule=RECORDS).as_dict()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_onnx_file(call, saved, runs, sets, tmp_path):
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
    first, second = score_of(saved), score_of(tmp_path / "out")
    assert [second[key] for key in SCORES] == pytest.approx([first[key] for key in SCORES], abs=1e-3)
    assert second["about"]["runs_on"] == "CPUExecutionProvider"


@pytest.mark.parametrize(("fmr", "noted"), [(0.01, False), (1e-7, True)])
def test_threshold_on_strangers_of_the_other_set(call, runs, sets, tmp_path, fmr, noted):
    """The run's configuration says that it was trained elsewhere: held-out identities of the new set are strangers."""
    run = shutil.copytree(runs["first"], tmp_path / "run")
    (run / "config.yaml").write_text("dataset: synthetic\ndata: {holdout_identities: 6}\n")
    done = call("evaluate", *arguments(run, sets["north"], tmp_path / "out", "--fmr", fmr)[4:])
    assert done.code == 0, done.err
    score = score_of(tmp_path / "out")
    if noted:
        assert "threshold" not in score and "cannot be told from" in done.out
        return
    assert "threshold set on 6 held-out identities of north" in done.out
    assert score["threshold"]["fmr"] <= 0.01 and 0 <= score["threshold"]["test"]["fmr"] <= 1
    assert score["threshold"]["test"]["impostors"] == score["verification"]["impostors"]


def test_threshold_without_known_strangers(call, saved, runs, sets, tmp_path):
    """Nothing says what the network was trained on: half of the test identities serve, the other half is measured."""
    done = call("evaluate", *arguments(runs["first"], sets["north"], tmp_path / "out", "--fmr", 0.05)[4:])
    assert "threshold set on every other test identity, and measured on the others" in done.out
    score = score_of(tmp_path / "out")
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
    score = score_of(tmp_path / "out")
    assert values["test/mAP (step)"] == pytest.approx(score["mAP"], rel=1e-6)
    assert values["test/mAP (trapezoid)"] == pytest.approx(score["mAP_trapezoid"], rel=1e-6)
    assert values["verification/EER"] == pytest.approx(score["verification"]["eer"], rel=1e-6)
    (labels,) = folder.rglob("metadata.tsv")
    gallery = load_features(saved / "features.npz").gallery
    lines = labels.read_text().splitlines()
    assert lines[0] == "identity\tcamera" and len(lines) == 1 + int((gallery.pids > 0).sum())
    assert not list(folder.rglob("*.png"))


def test_data_without_cameras(call, runs, sets, tmp_path):
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
    assert score_of(out)["rank1"] == (nearest == features.query.pids).float().mean()
    assert features.query.camids.unique().tolist() == [0]


def test_mean_over_all_splits(call, runs, sets, tmp_path):
    (tmp_path / "cuhk01" / "campus").mkdir(parents=True)
    images = sorted((sets["north"] / "bounding_box_train").glob("*.jpg"))
    for number, path in enumerate(images[:16]):  # whose they are is of no account
        shutil.copy(path, tmp_path / "cuhk01" / "campus" / f"{number // 4 + 1:04d}{number % 4 + 1:03d}.jpg")
    config = f"data.dataset={{name: cuhk01, root: {tmp_path / 'cuhk01'}, check_counts: false}}"
    scores = {}
    for split in ("0", "1", "all"):
        command = arguments(runs["first"], None, tmp_path / split, "--set", config, "--split", split)
        done = call("evaluate", *command[4:])
        assert done.code == 0, done.err
        scores[split] = score_of(tmp_path / split)
    assert (
        scores["all"]["queries"] == 20 * scores["0"]["queries"] and "mean over 20 splits" in scores["all"]["notes"][0]
    )
    assert scores["0"]["about"]["data"] == "cuhk01-split00" and scores["1"]["about"]["data"] == "cuhk01-split01"
    refused(call("evaluate", *command[4:-1], "20", "--resume"), "has no split 20; the last is 19")


# What is refused.


def change(path: Path, source: Path, **arrays: np.ndarray) -> Path:
    with np.load(source) as file:
        np.savez(path, **{**{name: file[name] for name in file.files}, **arrays})
    return path


def test_bad_feature_files(call, saved, tmp_path):
    source, out = saved / "features.npz", ("--out", tmp_path / "out")
    with np.load(source) as file:
        broken = file["gallery_features"].copy()
        strangers = file["gallery_pids"] + 5000
    broken[1, 2] = np.nan
    path = change(tmp_path / "nan.npz", source, gallery_features=broken)
    refused(call("evaluate", path, *out), "nan.npz: gallery_features hold NaN or infinite values")
    path = change(tmp_path / "shape.npz", source, gallery_features=broken[:, :3])
    refused(
        call("evaluate", path, *out), "shape.npz: gallery_features hold NaN|query features have .* gallery features 3"
    )
    path = change(tmp_path / "ids.npz", source, gallery_pids=strangers)
    refused(call("evaluate", path, *out), "no query has a right answer in the gallery: no query's identity is there")
    (tmp_path / "text.npz").write_text("no features")
    refused(call("evaluate", tmp_path / "text.npz", *out), "text.npz is no readable feature file")
    refused(call("evaluate", tmp_path / "none.npz", *out), "none.npz does not exist")
    (tmp_path / "text.safetensors").write_text("no weights")
    refused(call("evaluate", tmp_path / "text.safetensors", *out), "text.safetensors is no readable safetensors file")
    refused(call("evaluate", source, "--flip", *out), "--flip: the features in .* are there already")
    refused(call("evaluate", source, "--dataset", "msmt17", *out), "--dataset: the features in .* are there already")
    refused(call("evaluate", source, "--arch", "smallest", *out), "--arch is for supernets")
    refused(call("evaluate", source, "--calibrate", "holdout", *out), "saved features have no network to run")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--dataset", "market1510"), "no data set is called 'market1510'; nearest: market1501"),
        (("--dataset", "msmt17"), "no MSMT17"),
        (("--dataset", "market-layout"), "needs root"),
        (("--split", "3"), "data set 'synthetic' has one split only"),
        (("--rerank", "20,6"), "--rerank 20,6: must be K1,K2,LAMBDA such as 20,6,0.3"),
        (("--rerank", "0,6,0.3"), "--rerank 0,6,0.3: k1: input should be greater than or equal to 1"),
        (("--rerank", "20,6,much"), "--rerank 20,6,much: weight: "),
        (("--fmr", "2"), "--fmr 2: must lie between 0 and 1"),
        (("--calibrate", "sometimes"), "--calibrate sometimes: must be one of auto, holdout, test-half, none"),
        (("--save-features", "f.npy"), "f.npy: must end in .npz"),
    ],
)
def test_bad_options(call, runs, tmp_path, options, message):
    refused(call("evaluate", runs["first"], "--out", tmp_path / "out", *options), message)
    assert not (tmp_path / "out").exists()


def test_a_result_is_not_written_over(call, saved, runs, sets):
    before = {path: path.read_bytes() for path in saved.iterdir() if path.is_file()}
    refused(call("evaluate", *arguments(runs["second"], sets["north"], saved)[4:]), "already holds a result")
    assert {path: path.read_bytes() for path in saved.iterdir() if path.is_file()} == before


# The matrix.


def test_cross_domain_matrix(call, runs, sets, saved, tmp_path, monkeypatch):
    names = [f"market-layout={folder}" for folder in sets.values()]
    command = (*runs.values(), tmp_path, "--datasets", *names, "msmt17")
    done = call("cross_domain", *command, "--out", tmp_path / "one")
    assert done.code == 0, done.err
    matrix = json.loads((tmp_path / "one" / "matrix.json").read_text())
    assert [row["train_set"] for row in matrix["rows"]] == [
        "first-set: 9 identities",
        "second-set: 9 identities",
        "not told",
    ]
    first, second, missing = (row["scores"] for row in matrix["rows"])
    north = score_of(saved)
    assert first[names[0]] == {key: north[key] for key in first[names[0]]}
    for row, other in ((first, names[1]), (second, names[0]), (second, names[1])):
        assert row[other] != first[names[0]] and 0 < row[other]["mAP"] < 1
    assert "no MSMT17" in first["msmt17"]["skipped"] and "does not exist" in missing[names[0]]["skipped"]
    page = (tmp_path / "one" / "matrix.md").read_text()
    cell = " / ".join(f"{100 * north[key]:.1f}" for key in ("mAP", "mAP_trapezoid", "rank1"))
    assert cell in page and cell in done.out and "mAP (step) / mAP (trapezoid) / Rank-1" in page

    def asked(*arguments):
        raise AssertionError("the network was run again")

    monkeypatch.setattr(ReidNetwork, "forward", asked)
    assert call("cross_domain", *command, "--out", tmp_path / "two").code == 0
    again = json.loads((tmp_path / "two" / "matrix.json").read_text())
    assert again["rows"] == matrix["rows"]


def test_cross_domain_refuses(call, runs, tmp_path):
    command, out = ("cross_domain", runs["first"]), ("--out", tmp_path / "out")
    refused(call(*command, "--datasets", "msmt71", *out), "no data set is called 'msmt71'; nearest: msmt17")
    refused(call(*command, "--datasets", "msmt17", "msmt17", *out), "name each data set only once")
    refused(call(*command, "--datasets", "msmt17", *out), "nothing could be evaluated; first: no MSMT17")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["evaluate", "cross_domain"])
def test_help_explains_every_option(call, name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = call(name, "--help", tiny=False)
    assert done.code == 0
    options = re.findall(r"^  (--[a-z-]+)(?: [^ ]+)*  +(\S+ \S+.*)$", done.out, re.MULTILINE)
    names = {option for option, _ in options}
    wanted = {"--metric", "--flip", "--precision", "--config", "--data", "--out", "--device", "--set"}
    more = {"--dataset", "--split", "--rerank", "--fmr", "--calibrate", "--save-features", "--projector", "--arch"}
    assert wanted | (more if name == "evaluate" else {"--datasets"}) <= names

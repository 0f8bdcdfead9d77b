"""``tools/rank.py``: the whole way at a tiny scale, going on, finished runs of others, and refusals."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from random import Random

import numpy as np
import pytest
import torch
import yaml
from matplotlib.image import imread
from scipy import stats

import tools.jobs.proofs.stand_alone
from evaluation.comparison.row import read_result, write_result
from evaluation.features.extraction import evaluate_network
from reid.errors import UserError
from reid.files import read_yaml
from search.costs import whole_network_flops
from search.predictor.alone import TrainedArch, fit_alone
from search.scoring.evaluator import SupernetEvaluator
from supernet.files import arch_to_dict, load_arch, load_space
from supernet.space import decode
from supernet.space.genome import sample
from supernet.supernet import Supernet
from supernet.trained.checkpoint import load_network, load_supernet, save_supernet
from tools.jobs.data import open_source, search_data
from tools.jobs.proofs.rank import Asked, rank
from tools.jobs.proofs.stand_alone import on_training_identities
from tools.jobs.runs.provenance import sha256

NAMES = ("B00", "B01", "B02", "B03")
SMALL = {"count": 4, "band": "2.5M", "within": 0.5}


@pytest.fixture(scope="module")
def ranking(make_job, supernets, tmp_path_factory):
    """Four small archs, an epoch each."""
    out = tmp_path_factory.mktemp("rank") / "run"
    rank(make_job(out), Asked(supernets, repeats=1, **SMALL))
    return out


@pytest.fixture(scope="module")
def images(make_job, ranking, tmp_path_factory):
    job = on_training_identities(make_job(tmp_path_factory.mktemp("images")))
    return search_data(open_source(job.experiment.data, None), job.experiment.data)


def _data(out):
    return json.loads((out / "ranking.json").read_text())


def test_scores_are_those_of_the_networks(ranking, supernets, images, make_job, tmp_path):
    data, experiment = _data(ranking), make_job(tmp_path).experiment
    config, augmentation = experiment.search, experiment.supernet.recipe.augment
    assert [arch["name"] for arch in data["archs"]] == list(NAMES) and data["missing"] == []
    nets = {str(run): load_supernet(run / "supernet.safetensors", torch.device("cpu")) for run in supernets}
    sets = (images.train, images.query, images.gallery)
    for row in data["archs"]:
        arch, run = load_arch(ranking / "archs" / f"{row['name']}.yaml").arch, ranking / "alone" / f"{row['name']}-s0"
        assert row["flops"] == whole_network_flops(arch)
        for label, net in nets.items():
            evaluate = SupernetEvaluator(net, *sets, "cpu", config, augmentation=augmentation)
            assert row["supernets"][label] == evaluate(arch)["default"]
        (alone,) = row["alone"]
        assert alone["test"] == read_result(run).mAP == row["mean_test"] and alone["seed"] == 0
        network, spec = load_network(run / "last.safetensors", torch.device("cpu"))
        assert spec.backbone == arch
        held = evaluate_network(network, images.query, images.gallery, (64, 32), "cpu").mAP
        assert alone["holdout"] == pytest.approx(held, abs=1e-6)


def test_held_out_identities_stay_out_of_the_trainings(ranking):
    """The tests' config would train on them."""
    for name in NAMES:
        assert read_yaml(ranking / "alone" / f"{name}-s0" / "config.yaml")["data"]["retrain_on_holdout"] is False
        assert read_result(ranking / "alone" / f"{name}-s0").train_set.startswith("synthetic: 14 identities")


def test_figures_are_of_these_scores(ranking, supernets, read_page):
    data = _data(ranking)
    for ground in ("test", "holdout"):
        truth = [row[f"mean_{ground}"] for row in data["archs"]]
        for run in supernets:
            scores = [row["supernets"][str(run)] for row in data["archs"]]
            found = data["against"][ground]["rankers"][str(run)]
            assert found["tau"]["value"] == pytest.approx(stats.kendalltau(scores, truth).statistic)
            assert found["regret"] == pytest.approx(max(truth) - truth[int(np.argmax(scores))])
        assert data["against"][ground]["ceiling"] is None
    assert imread(ranking / "ranking.png").shape[1] > 1000  # two panels
    page = read_page(ranking / "report.html")
    tau = data["against"]["test"]["rankers"][str(supernets[1])]["tau"]
    words = f"{tau['value']:.2f} ({tau['low']:.2f} to {tau['high']:.2f})"
    assert page.all("dd")[2] == words and words in page.all("td") and len(page.pictures) == 1
    for row in data["archs"]:
        scores = (row["mean_test"], row["mean_holdout"], *(row["supernets"][str(run)] for run in supernets))
        start = page.all("td").index(row["name"])
        assert page.all("td")[start + 3 : start + 7] == [f"{100 * score:.1f}" for score in scores]
    command, settings = page.all("code")
    assert data["commit"] in command and yaml.safe_load(settings)["config"]["retrain"]["identities"] == 4
    assert yaml.safe_load(settings)["config"]["data"]["retrain_on_holdout"] is False
    assert data["command"] and data["commit"]


def test_going_on_trains_only_what_is_missing(ranking, supernets, make_job, monkeypatch, tmp_path):
    out, calls, left = tmp_path / "run", [], iter([1])
    shutil.copytree(ranking / "alone", out / "alone")
    asked = Asked(supernets[:1], repeats=2, **SMALL)

    def stand_in(job, what):
        """Leaves what a training with another seed would, once, and is then interrupted."""
        calls.append((job.out.name, job.seed, job.resume, what.network))
        if next(left, None) is None:
            raise KeyboardInterrupt
        shutil.copytree(ranking / "alone" / job.out.name.replace("-s1", "-s0"), job.out)
        config = read_yaml(job.out / "config.yaml")
        (job.out / "config.yaml").write_text(yaml.safe_dump({**config, "seed": job.seed}))
        write_result(job.out, dataclasses.replace(read_result(job.out), mAP=read_result(job.out).mAP + 0.04))

    monkeypatch.setattr(tools.jobs.proofs.stand_alone, "retrain", stand_in)
    kept = {path: path.stat().st_mtime_ns for path in (out / "alone").rglob("*") if path.is_file()}
    files = [str(out / "archs" / f"{name}.yaml") for name in NAMES]
    with pytest.raises(KeyboardInterrupt):
        rank(make_job(out), asked)
    # The second seed only, and what was not there to go on with is begun.
    assert calls == [("B00-s1", 1, False, files[0]), ("B01-s1", 1, False, files[1])]
    (out / "alone" / "B01-s1").mkdir()
    shutil.copy(out / "alone" / "B00-s1" / "config.yaml", out / "alone" / "B01-s1")  # it had got so far
    calls.clear()
    with pytest.raises(UserError, match="B01-s1 contains an unfinished run; continue it with --resume"):
        rank(make_job(out), asked)
    assert not calls
    with pytest.raises(KeyboardInterrupt):
        rank(make_job(out, resume=True), asked)
    assert calls == [("B01-s1", 1, True, files[1])]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept

    # What is there by now, without training.
    path = rank(make_job(out), dataclasses.replace(asked, train=False))
    data = _data(out)
    assert path == out / "ranking.json" and data["missing"] == ["B01-s1", "B02-s1", "B03-s1"] and len(calls) == 1
    assert [[each["seed"] for each in row["alone"]] for row in data["archs"]] == [[0, 1], [0], [0], [0]]
    one, two = data["archs"][0]["alone"]
    assert data["archs"][0]["mean_test"] == pytest.approx((one["test"] + two["test"]) / 2)
    assert data["against"]["test"]["ceiling"]["noise"] == pytest.approx(0.04 / 2**0.5)


def test_weights_that_are_trained_on_rank_too(ranking, supernets, images, make_job, call, refused, read_page, tmp_path):
    """By what the networks score that each supernet's weights became, and by the means; no other row changes."""
    out, labels = tmp_path / "run", [str(each) for each in supernets]
    shutil.copytree(ranking, out)
    rank(make_job(out, resume=True), Asked(supernets, repeats=1, finetune_epochs=1, **SMALL))
    data, before = _data(out), _data(ranking)
    tuned, mean = [f"{label} + 1 epoch" for label in labels], "mean of 2 supernets"
    further = f"supernet-{sha256(supernets[1] / 'supernet.safetensors')[:8]}"
    folders = [out / "alone", out / "alone" / further]
    for row, old in zip(data["archs"], before["archs"], strict=True):
        for label, folder in zip(tuned, folders, strict=True):
            run = folder / f"{row['name']}-inherited-1ep-s0"
            network, spec = load_network(run / "last.safetensors", torch.device("cpu"))
            held = evaluate_network(network, images.query, images.gallery, spec.input_size, "cpu").mAP
            assert row["supernets"][label] == pytest.approx(held, abs=1e-6) and read_result(run).epochs == 1
        scores = row["supernets"]
        assert scores[mean] == pytest.approx(np.mean([scores[label] for label in labels]))
        assert scores[f"{mean} + 1 epoch"] == pytest.approx(np.mean([scores[label] for label in tuned]))
        assert {key: value for key, value in scores.items() if "1 epoch" not in key} == old["supernets"]
    assert list(data["archs"][0]["supernets"]) == [*labels, *tuned, mean, f"{mean} + 1 epoch"]
    assert [(each["supernet"], each["epochs"], each["count"]) for each in data["ways"]] == [
        (own, 1, 4) for own in labels
    ]
    runs = {"inherited": "inherited", "tuned": "inherited-1ep-s0"}
    for ways, folder in zip(data["ways"], folders, strict=True):
        means = {
            way: np.mean([read_result(folder / f"{name}-{run}").mAP for name in NAMES]) for way, run in runs.items()
        }
        means["scratch"] = np.mean([read_result(out / "alone" / f"{name}-s0").mAP for name in NAMES])
        assert {way: ways[way] for way in means} == pytest.approx(means)
        assert ways["tuned_over_scratch"]["value"] == pytest.approx(means["tuned"] - means["scratch"])

    asked = ("--n", 4, "--band", "2.5M", "--within", 0.5, "--repeats", 1, "--resume", "--out", out)
    asked += ("--supernet", supernets[1])
    first = ("--supernet", supernets[0])
    done = call("rank", *asked[:-2], *first, *asked[-2:], "--no-train", "--finetune-epochs", 1)
    found = rf"{re.escape(tuned[1])} +{100 * means['tuned']:.1f}  [+-]"
    assert done.code == 0 and re.search(found, done.out), done.err
    page = read_page(out / "report.html")
    assert page.all("td")[page.all("td").index("from scratch") + 1] == f"{100 * means['scratch']:.1f}"
    (out / "alone" / further / "B00-inherited-1ep-s0" / "result.json").unlink()
    refused(call("rank", *asked[:-2], *first, *asked[-2:], "--no-train", "--finetune-epochs", 1), "3 of 4 archs have a")
    refused(call("rank", *asked, "--finetune-epochs", 1), "B00-inherited contains scores of another supernet's weights")


def test_finished_runs_of_given_archs(ranking, supernets, call, tmp_path):
    """As typed: a folder of arch files, and the runs of another ranking; how often those looked at scores is free."""
    done = call(
        *("rank", "--archs", ranking / "archs", "--alone", ranking / "alone", "--no-train", "--repeats", 1),
        *("--supernet", supernets[0], "--out", tmp_path / "again", "--set", "retrain.evaluate_every=1"),
    )
    assert done.code == 0, done.err
    again, first = _data(tmp_path / "again"), _data(ranking)
    label = str(supernets[0])
    assert [row["alone"] for row in again["archs"]] == [row["alone"] for row in first["archs"]]
    assert again["against"]["test"]["rankers"][label] == first["against"]["test"]["rankers"][label]
    tau = again["against"]["test"]["rankers"][label]["tau"]
    assert f"{label}  " in done.out and f"{tau['value']:.2f} ({tau['low']:.2f} to {tau['high']:.2f})" in done.out
    assert (
        " may have seen the held-out identities" in done.out
    )  # no configuration beside the weights says who they were trained on
    assert "give --repeats 2" in done.out and "data.retrain_on_holdout=false" in done.out
    names = ["ranking.json", "ranking.png", "report.html"]
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == names
    assert done.out.rstrip().endswith(f"report: {tmp_path / 'again' / 'report.html'}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("--set", "retrain.optimizer.lr=0.01"),
            "B00-s0 was trained with other settings .*: recipe.optimizer differs",
        ),
        (("--set", "data.holdout_identities=5"), "data.holdout_identities differs"),
        (("--n", 4), "0 of 4 archs"),  # of other names
    ],
)
def test_runs_that_were_trained_otherwise(call, refused, ranking, supernets, tmp_path, change, message):
    asked = ("--alone", ranking / "alone", "--supernet", supernets[0], "--out", tmp_path / "out", "--no-train")
    archs = () if change[0] == "--n" else ("--archs", ranking / "archs")
    refused(call("rank", *asked, *archs, *change), message)
    assert not (tmp_path / "out").exists()


def test_runs_of_other_archs_or_seeds(call, refused, ranking, supernets, tmp_path):
    shutil.copytree(ranking / "alone", tmp_path / "alone")
    (tmp_path / "alone" / "B01-s0").rename(tmp_path / "spare")
    shutil.copytree(tmp_path / "alone" / "B00-s0", tmp_path / "alone" / "B01-s0")
    shutil.copytree(ranking / "archs", tmp_path / "archs")
    asked = ("--alone", tmp_path / "alone", "--supernet", supernets[0], "--out", tmp_path / "out", "--no-train")
    refused(
        call("rank", *asked, "--archs", ranking / "archs"),
        "B01-s0 was trained with other settings .*: network differs .where archs are drawn, each depends on how",
    )
    shutil.rmtree(tmp_path / "alone" / "B01-s0")
    (tmp_path / "alone" / "B00-s0").rename(tmp_path / "alone" / "B00-s7")
    refused(call("rank", *asked, "--archs", ranking / "archs", "--seed", 7, "--repeats", 1), "seed differs")
    (tmp_path / "alone" / "B00-s7" / "config.yaml").write_text("seed: 7\n")
    message = r"config.yaml lacks 'data'; if it is of a stand-alone training, restore it, .*another folder"
    refused(call("rank", *asked, "--archs", ranking / "archs", "--seed", 7, "--repeats", 1), message)
    shutil.copy(tmp_path / "archs" / "B00.yaml", tmp_path / "archs" / "twin.yaml")
    refused(call("rank", *asked, "--archs", tmp_path / "archs"), "twin.yaml: has the name or the network of .*B00.yaml")


@pytest.mark.parametrize(
    "weights, message",
    [
        (float("nan"), r"checkpoint .*supernet\.safetensors contains NaN or infinite weights \(.*train it again"),
        (1e38, "net gives arch B00 no finite score"),  # finite, but what the network makes of them is not
    ],
)
def test_diverged_supernet(call, refused, ranking, tmp_path, weights, message):
    net = Supernet(load_space("tiny"))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(weights)
    save_supernet(tmp_path / "net" / "supernet.safetensors", net)
    asked = ("--alone", ranking / "alone", "--archs", ranking / "archs", "--no-train", "--out", tmp_path / "out")
    refused(call("rank", *asked, "--supernet", tmp_path / "net"), message)


def test_other_rankings_trainings_are_a_ranker(ranking, supernets, make_job, tmp_path):
    """The other ranking is this one's archs and eight more, all with made-up scores."""
    space, random = load_space("tiny").at((64, 32)), Random(1)
    data = _data(ranking)
    more = [decode(space, sample(space, random)) for _ in range(8)]
    rows = [
        {"name": f"W{n}", "arch": arch_to_dict(arch), "flops": whole_network_flops(arch), "mean_holdout": 0.1 + n / 20}
        for n, arch in enumerate(more)
    ]
    other = tmp_path / "other.json"
    made_up = [{**row, "mean_holdout": 9.0} for row in data["archs"]]
    other.write_text(json.dumps({"dataset": data["dataset"], "archs": [*made_up, *rows]}))
    out = shutil.copytree(ranking, tmp_path / "out")
    job = dataclasses.replace(make_job(out), resume=True)
    rank(job, Asked(supernets, repeats=1, learn_from=[other], **SMALL))
    trained = [TrainedArch(arch, row["flops"], None, row["mean_holdout"]) for arch, row in zip(more, rows, strict=True)]
    predictor, ranked = fit_alone(space, trained), _data(out)
    for row in ranked["archs"]:
        arch = load_arch(out / "archs" / f"{row['name']}.yaml").arch
        expected = predictor.predict([arch], [row["flops"]])[0]
        assert row["supernets"]["other rankings' trainings"] == pytest.approx(expected)
    assert ranked["learnt_from_sha256"] == {str(other): sha256(other)}
    assert "other rankings' trainings" in ranked["against"]["test"]["rankers"]

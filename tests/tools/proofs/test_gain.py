"""``tools/gain.py``: the whole way at a tiny scale, going on, ways to weights, and refusals."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from random import Random

import pytest
import yaml
from matplotlib.image import imread

import tools.jobs.proofs.stand_alone
import tools.jobs.proofs.ways
from evaluation.comparison.row import read_result, write_result
from reid.engine.machine.device import seeded
from reid.errors import UserError
from reid.files import read_yaml, write_json
from search.costs import whole_network_flops
from supernet.files import NamedArch, load_arch, load_space, save_arch
from supernet.space.genome import contains
from supernet.supernet import Supernet
from supernet.trained.checkpoint import save_supernet
from tools.jobs.proofs.gain import Asked, gain
from tools.jobs.runs.provenance import sha256
from tools.jobs.training.wanted import network_to_train

SPACE = load_space("tiny").at((64, 32))
FOUND = "MLR-2M-A"
SEEDS = {"random": 1, "repeats": 1, "baselines": ()}


@pytest.fixture(scope="module")
def whole(make_job, search_run, supernet_run, tmp_path_factory):
    """The whole way, an epoch and a seed each."""
    out = tmp_path_factory.mktemp("gain") / "run"
    gain({"": make_job(out)}, Asked(search_run, supernet=supernet_run, **SEEDS))
    return out


def _data(out):
    return json.loads((out / "gain.json").read_text())


def _times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_networks_are_what_they_are_called(whole, search_run):
    found, drawn = (load_arch(path).arch for path in (search_run / f"archs/{FOUND}.yaml", whole / "archs/R00.yaml"))
    assert drawn != found and contains(SPACE, drawn)
    assert abs(whole_network_flops(drawn) / whole_network_flops(found) - 1) <= 0.05
    data = _data(whole)
    assert [(row["name"], row["kind"]) for row in data["networks"]] == [(FOUND, "searched"), ("R00", "random")]
    for row, arch in zip(data["networks"], (found, drawn), strict=True):
        result = read_result(whole / "alone" / f"{row['name']}-s0")
        assert (row["mAP"], row["rank1"]) == ([result.mAP], [result.rank1])
        assert row["flops"] == whole_network_flops(arch) and result.epochs == 1 and row["seeds"] == [0]
        assert row["train_set"].startswith("synthetic: 20 identities")
    (search,) = data["gains"]
    assert search["mAP"]["value"] == pytest.approx(data["networks"][0]["mAP"][0] - data["networks"][1]["mAP"][0])
    assert search["mAP"]["error"] is None and "too few trainings" in search["sentence"]
    assert imread(whole / "gain.png").shape[1] > 400 and data["command"] and data["commit"]


def test_ways_are_of_one_arch(whole, supernet_run, read_page):
    """As evaluated on the supernet's weights, and trained on from there for a quarter of an epoch, which is one."""
    data = _data(whole)["ways"]
    noted = json.loads((whole / f"alone/{FOUND}-inherited/score.json").read_text())["about"]["calibration"]
    assert (noted["calibration_images"], noted["calibration_batches"], noted["seed"]) == ("augmented", 1, 0)
    scratch, inherited, tuned = data["networks"]
    rows = [read_result(whole / "alone" / f"{FOUND}-{way}") for way in ("s0", "inherited", "inherited-1ep-s0")]
    assert [each["mAP"] for each in (scratch, inherited, tuned)] == [[row.mAP] for row in rows]
    assert [row.epochs for row in rows] == [1, 0, 1] and data["epochs"] == 1
    assert "inherited weights (" in tuned["train_set"] and ", then 1 epoch of synthetic: 20" in tuned["train_set"]
    assert inherited["name"] == f"{FOUND} inherited" and tuned["name"] == f"{FOUND} inherited + 1 epoch"
    saved = read_yaml(whole / "alone" / f"{FOUND}-inherited-1ep-s0" / "config.yaml")
    assert saved["weights"] == f"supernet:{supernet_run}"
    assert saved["supernet_sha256"] == sha256(supernet_run / "supernet.safetensors")
    assert [each["name"] for each in data["gains"]] == ["inherited", "inherited and trained on"]
    page = read_page(whole / "report.html")
    fewer = f"note: {FOUND} inherited: trained on {inherited['train_set']}; {FOUND}: on {scratch['train_set']}"
    assert inherited["train_set"].startswith("synthetic: 14 identities") and fewer in page.all("p")
    cells = page.all("td")
    for each in (inherited, tuned):
        start = cells.index(each["name"])
        assert cells[start + 3 : start + 5] == [f"{100 * each[key][0]:.1f}" for key in ("mAP", "rank1")]
    assert all(each["sentence"] in cells for each in data["gains"])


def test_finished_runs_are_kept(whole, search_run, supernet_run, make_job, read_page, monkeypatch, tmp_path):
    """More seeds train those alone; an interrupted training goes on with --resume, and not without."""
    out, calls, left = tmp_path / "run", [], iter([1, 2, 3])
    shutil.copytree(whole, out)
    (out / "gain.json").unlink()
    kept = _times(out / "alone")
    asked = Asked(search_run, supernet=supernet_run, **{**SEEDS, "repeats": 2})

    def stand_in(job, what):
        """Leaves what a training with another seed would, three times; the third is interrupted half-way."""
        calls.append((job.out.name, job.seed, job.resume, what.weights))
        number = next(left)
        first = job.out.with_name(job.out.name.replace("-s1", "-s0"))
        shutil.copytree(first, job.out, dirs_exist_ok=True)
        config = read_yaml(job.out / "config.yaml")
        (job.out / "config.yaml").write_text(yaml.safe_dump({**config, "seed": job.seed}))
        row = read_result(first)
        write_result(job.out, dataclasses.replace(row, seed=1, mAP=row.mAP + 0.02 * number))
        if number == 2:
            (job.out / "result.json").unlink()
            raise KeyboardInterrupt

    monkeypatch.setattr(tools.jobs.proofs.stand_alone, "retrain", stand_in)
    monkeypatch.setattr(tools.jobs.proofs.ways, "retrain", stand_in)
    with pytest.raises(KeyboardInterrupt):
        gain({"": make_job(out)}, asked)
    with pytest.raises(UserError, match="R00-s1 contains an unfinished run; continue it with --resume"):
        gain({"": make_job(out)}, asked)
    left = iter([2.5, 3])
    gain({"": make_job(out, resume=True)}, asked)
    names = (f"{FOUND}-s1", "R00-s1", "R00-s1", f"{FOUND}-inherited-1ep-s1")
    resumed = (False, False, True, False)
    weights = (None, None, None, f"supernet:{supernet_run}")
    assert calls == list(zip(names, (1, 1, 1, 1), resumed, weights, strict=True))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    data = _data(out)
    found, drawn = data["networks"]
    assert found["seeds"] == drawn["seeds"] == [0, 1] and found["mAP"][1] == pytest.approx(found["mAP"][0] + 0.02)
    value = sum(found["mAP"]) / 2 - sum(drawn["mAP"]) / 2
    assert data["gains"][0]["mAP"]["value"] == pytest.approx(value) and data["seeds"] == [0, 1]
    tuned, scratch = data["ways"]["networks"][2], data["ways"]["networks"][0]
    gained = data["ways"]["gains"][1]["mAP"]
    assert gained["value"] == pytest.approx(sum(tuned["mAP"]) / 2 - sum(scratch["mAP"]) / 2)
    # 0.02 and 0.06 apart: errors 0.01 and 0.03
    assert gained["error"] == pytest.approx(0.1**0.5 / 10)
    words = f"{100 * gained['value']:+.1f} ({100 * gained['low']:.1f} to {100 * gained['high']:.1f})"
    page = read_page(out / "report.html")
    assert words in page.all("td") and page.pictures == [(out / "gain.png").read_bytes()]


def test_recipes_beside_each_other(search_run, make_job, read_page, monkeypatch, tmp_path, call):
    """As typed, with a stand-in for training: each recipe's runs in a folder of its own, at the length asked for."""
    made = []

    def stand_in(job, what):
        made.append((job.out.relative_to(tmp_path / "out"), job.experiment.retrain.epochs))
        score = Random(str(job.out.relative_to(tmp_path))).random()
        row = {"name": "x", "kind": "x", "latency_ms": None, "epochs": 1, "train_set": "t", "input_size": [64, 32]}
        row |= {"mAP": score, "rank1": score, "flops": 1, "parameters": 1, "seed": job.seed, "run": str(job.out)}
        write_json(job.out / "result.json", row)

    monkeypatch.setattr(tools.jobs.proofs.stand_alone, "retrain", stand_in)
    done = call(
        *("gain", "--search", search_run, "--random", 2, "--repeats", 1, "--out", tmp_path / "out"),
        *("--recipes", "standard,mlr", "--baselines", "resnet18", "--archs", 2, "--set", "retrain.epochs=7"),
    )
    assert done.code == 0, done.err
    names = (FOUND, "MLR-2M-B", "R00", "R01", "resnet18")
    folders = [f"alone/{recipe}/{name}-s0" for recipe in ("standard", "mlr") for name in names]
    assert [(str(path), epochs) for path, epochs in made] == [(folder, 7) for folder in folders]
    data = _data(tmp_path / "out")
    score = {(row["recipe"], row["name"]): row["mAP"][0] for row in data["networks"]}
    for recipe in ("standard", "mlr"):
        found = (score[recipe, FOUND] + score[recipe, "MLR-2M-B"]) / 2
        drawn = (score[recipe, "R00"] + score[recipe, "R01"]) / 2
        (own,) = (each for each in data["gains"] if each["name"] == "search gain" and f"({recipe})" in each["first"])
        assert own["mAP"]["value"] == pytest.approx(found - drawn)
    base = data["gains"][-1]
    assert base["name"] == "recipe gain" and base["first"] == "resnet18 (standard)"
    assert base["mAP"]["value"] == pytest.approx(score["standard", "resnet18"] - score["mlr", "resnet18"])
    assert done.out.count(data["gains"][-1]["sentence"]) == 1
    page = read_page(tmp_path / "out" / "report.html")
    assert [each["sentence"] in page.all("td") for each in data["gains"]] == [True] * len(data["gains"])
    assert yaml.safe_load(page.all("code")[1])["config"]["retrain"].keys() == {"standard", "mlr"}
    assert done.out.rstrip().endswith(f"report: {tmp_path / 'out' / 'report.html'}")


def test_random_archs_that_were_drawn_before(search_run, make_job, call, refused, monkeypatch, tmp_path):
    """Files that the user names stand in the table as random archs, and are trained from there."""
    trained = []

    def stand_in(job, what):
        trained.append((job.out.name, what.network))
        row = {"name": "x", "kind": "x", "latency_ms": None, "epochs": 1, "train_set": "t", "input_size": [64, 32]}
        row |= {"mAP": 0.1 * len(trained), "rank1": 0.5, "flops": 1, "parameters": 1}
        row |= {"seed": job.seed, "run": str(job.out)}
        write_json(job.out / "result.json", row)

    monkeypatch.setattr(tools.jobs.proofs.stand_alone, "retrain", stand_in)
    own = tmp_path / "archs"
    shutil.copytree(search_run / "archs", own)
    (own / f"{FOUND}.yaml").unlink()
    (own / "MLR-2M-C.yaml").unlink()
    given = ("gain", "--search", search_run, "--repeats", 2, "--out", tmp_path / "out", "--baselines")
    done = call(*given, "--random-archs", own, "--random-repeats", 1)
    assert done.code == 0, done.err
    found = str(search_run / "archs" / f"{FOUND}.yaml")
    assert trained == [(f"{FOUND}-s0", found), ("MLR-2M-B-s0", str(own / "MLR-2M-B.yaml")), (f"{FOUND}-s1", found)]
    data = _data(tmp_path / "out")
    assert [(row["kind"], row["seeds"]) for row in data["networks"]] == [("searched", [0, 1]), ("random", [0])]
    assert data["gains"][0]["mAP"]["value"] == pytest.approx((0.1 + 0.3) / 2 - 0.2)
    assert not (tmp_path / "out" / "archs").exists()

    given = (*given[:-1], "--resume", "--baselines")
    files = [search_run / "archs" / f"MLR-2M-{letter}.yaml" for letter in "AC"]
    refused(
        call(*given, "--random-archs", files[0]),
        "MLR-2M-A.yaml: is the same network as the found arch MLR-2M-A; leave it out",
    )
    refused(call(*given, "--random-archs", files[1]), "has 3.0M FLOPs and MLR-2M-A 2.0M; give archs within 10% of it")
    refused(call(*given, "--random-archs", "configs/archs/mobilenetv2.yaml"), "the arch is not in space tiny")
    (tmp_path / "empty").mkdir()
    refused(call(*given, "--random-archs", tmp_path / "empty"), "--random-archs: there is no arch file in .*empty")
    refused(call(*given, "--random-archs", own, "--random", 2), "give one of the two")


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((128, 64), ("--set", "search.cost_input_size=[128, 64]", "--random", 1)),
        ((64, 32), ("--random", 1)),
        ((64, 32), ("--random-archs", "R00.yaml")),
    ],
    ids=["costs of another", "baselines of another", "given archs of another"],
)
def test_all_see_images_of_the_size_that_the_search_scored_archs_at(
    search_run, call, monkeypatch, tmp_path, size, options
):
    """Found archs' files have the size that costs are counted at, baselines' and given ones' their own."""
    sizes = {}

    def stand_in(job, what):
        spec = network_to_train(job, what)[0]
        sizes[spec.name] = spec.input_size
        row = {"name": "x", "kind": "x", "latency_ms": None, "epochs": 1, "train_set": "t", "input_size": [64, 32]}
        row |= {"mAP": 0.5, "rank1": 0.5, "flops": 1, "parameters": 1, "seed": job.seed, "run": str(job.out)}
        write_json(job.out / "result.json", row)

    monkeypatch.setattr(tools.jobs.proofs.stand_alone, "retrain", stand_in)
    search = tmp_path / "search"
    shutil.copytree(search_run, search)
    file = search / "archs" / f"{FOUND}.yaml"
    save_arch(file, NamedArch(FOUND, load_arch(file).arch.at(size), {"space": "tiny", "input_size": [64, 32]}))
    other = load_arch(search / "archs" / "MLR-2M-B.yaml").arch
    given = save_arch(tmp_path / "R00.yaml", NamedArch("R00", other.at((80, 40))))
    asked = ("--repeats", 1, "--baselines", "mobilenetv2", "resnet18")
    asked += tuple(given if option == given.name else option for option in options)
    done = call("gain", "--set", "input_size=null", "--search", search, "--out", tmp_path / "out", *asked)
    assert done.code == 0, done.err
    assert sizes == dict.fromkeys((FOUND, "R00", "mobilenetv2", "resnet18"), SPACE.input_size)


def test_archs_that_were_scored_at_another_size_are_refused(search_run, call, refused, tmp_path):
    search = tmp_path / "search"
    shutil.copytree(search_run, search)
    file = search / "archs" / f"{FOUND}.yaml"
    save_arch(file, NamedArch(FOUND, load_arch(file).arch, {"space": "tiny", "input_size": [128, 64]}))
    done = call("gain", "--search", search, "--out", tmp_path / "out")
    refused(done, "its supernet scored it at 128x64, but here space tiny has 64x32; give the config that the search")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--search", "none"),
            "no finished search in none; run python tools/search.py first, or name a search's folder",
        ),
        (("--random", 0), "--random 0: must be from 1 to 1000"),
        (("--repeats", 0), "--repeats 0: must be from 1 to 1000"),
        (("--repeats", 10**9), "--repeats 1000000000: must be from 1 to 1000"),
        (("--random", 10**9), "--random 1000000000: must be from 1 to 1000"),
        (("--random-repeats", 0), "--random-repeats 0: must be from 1 to 1000"),
        (("--archs", 4), "--archs 4: the search in .* chose 3; give 1 to 3"),
        (("--archs", 3), "MLR-2M-C has 3.0M FLOPs and MLR-2M-A 2.0M, which is too far apart .* give --archs 2"),
        (("--set", "space=mlr-210m"), "MLR-2M-A.yaml: the arch is not in space mlr-210m: .* give the config that"),
        (("--baselines", "mobilnetv2"), "no network is called 'mobilnetv2'; nearest: mobilenetv2"),
        (("--baselines", "resnet18", "resnet18"), "--baselines: resnet18 is named twice"),
        (("--recipes", "standard,bott"), "no recipe is called 'bott'"),
        (("--recipes", "bot,bot"), "--recipes bot: bot is named twice|named twice"),
        (("--supernet", "none"), "need --ways; give --ways too"),
        (
            ("--ways", "--supernet", "none"),
            r"there is no trained supernet at none/supernet.safetensors; run python tools/train",
        ),
        (("--ways", "--finetune-epochs", 0), "--finetune-epochs 0: must be at least 1"),
    ],
)
def test_refusals(call, refused, search_run, tmp_path, options, message):
    refused(call("gain", "--search", search_run, "--out", tmp_path / "out", *options), message)
    assert not (tmp_path / "out").exists()


def test_runs_that_were_made_otherwise(whole, search_run, supernet_run, call, refused, tmp_path):
    asked = ("gain", "--search", search_run, "--alone", whole / "alone", "--out", tmp_path / "out", "--baselines")
    asked += ("--random", 1, "--repeats", 1, "--ways")
    with seeded(4):
        save_supernet(tmp_path / "other" / "supernet.safetensors", Supernet(SPACE))
    message = "inherited contains scores of another supernet's weights; give another folder with --alone"
    refused(call(*asked, "--supernet", tmp_path / "other"), message)
    own = (*asked, "--supernet", supernet_run)
    refused(
        call(*own, "--set", "retrain.optimizer.lr=0.01"),
        "-s0 was trained with other settings .*: recipe.optimizer differs",
    )
    shutil.copytree(whole / "alone", tmp_path / "alone")
    file = tmp_path / "alone" / f"{FOUND}-inherited-1ep-s0" / "config.yaml"
    file.write_text(file.read_text().replace("supernet_sha256: ", "supernet_sha256: 0"))
    again = [tmp_path / "alone" if part == whole / "alone" else part for part in own]
    refused(
        call(*again),
        "1ep-s0 was trained with other settings .*: supernet_sha256 differs; give the config, --set options and",
    )
    assert not (tmp_path / "out").exists()


def test_help(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = call("gain", "--help", tiny=False)
    options = "search archs random random-archs repeats random-repeats recipes epochs alone ways finetune-epochs"
    for option in options.split():
        assert re.search(rf"^  --{option}( [\w.,= \[\]]+)?\s+\S+ \S+ .*\w", done.out, re.MULTILINE), option

"""``tools/cross_domain.py``: several runs on several data sets."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from reid.files import read_json
from reid.models.network import ReidNetwork
from tools.jobs.evaluate.cross_domain import row_names

PATTERN = r"c(?P<camid>\d)_"


def test_cross_domain_matrix(call, runs, sets, saved, read_page, tmp_path, monkeypatch):
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
    north = read_json(saved / "score.json")
    assert first[names[0]] == {key: north[key] for key in first[names[0]]}
    for row, other in ((first, names[1]), (second, names[0]), (second, names[1])):
        assert row[other] != first[names[0]] and 0 < row[other]["mAP"] < 1
    assert "no MSMT17" in first["msmt17"]["skipped"] and "has no last.safetensors" in missing[names[0]]["skipped"]
    page = (tmp_path / "one" / "matrix.md").read_text()
    cell = " / ".join(f"{100 * north[key]:.1f}" for key in ("mAP", "mAP_trapezoid", "rank1"))
    assert cell in page and cell in done.out and "mAP (step) / mAP (trapezoid) / Rank-1" in page
    rules = matrix["rules"]
    assert rules[names[0]] == rules[names[1]] == read_json(saved / "score.json")["rules"][:3] and not rules["msmt17"]
    html = read_page(tmp_path / "one" / "report.html")
    assert cell in html.all("td") and set(rules[names[0]]) <= set(html.all("p"))
    assert done.out.rstrip().endswith(f"report: {tmp_path / 'one' / 'report.html'}")

    def asked(*arguments):
        raise AssertionError("the network was run again")

    monkeypatch.setattr(ReidNetwork, "forward", asked)

    def killed(*what):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:  # before its page: it is not there yet, and the same command makes it
        patch.setattr("tools.jobs.evaluate.cross_domain.write_matrix_report", killed)
        assert call("cross_domain", *command, "--out", tmp_path / "two").code == 130
    assert call("cross_domain", *command, "--out", tmp_path / "two").code == 0
    assert (tmp_path / "two" / "report.html").is_file()
    again = json.loads((tmp_path / "two" / "matrix.json").read_text())
    assert again["rows"] == matrix["rows"]


def test_cross_domain_refuses(call, runs, tmp_path, refused):
    command, out = ("cross_domain", runs["first"]), ("--out", tmp_path / "out")
    refused(call(*command, "--datasets", "msmt71", *out), "no data set is called 'msmt71'; nearest: msmt17")
    refused(call(*command, "--datasets", "msmt17", "msmt17", *out), "name each data set only once")
    refused(
        call(*command, "--datasets", "msmt17=", *out), "data set 'msmt17=': there is no folder after the =; name it"
    )
    refused(call(*command, runs["first"], "--datasets", "msmt17", *out), "first is named twice; name each network only")
    folder = ("--datasets", f"folder={tmp_path}", "--data", tmp_path)
    refused(call(*command, *folder, *out), "--data .*: each of the --datasets has a folder of its own; leave it out")
    refused(call(*command, "--datasets", "msmt17", *out), "nothing could be evaluated; first: no MSMT17")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def trained(runs, sets, tmp_path):
    """Makes a run that was trained on half of the persons of a folder, drawn by a seed."""
    for path in sorted((sets["north"] / "bounding_box_train").glob("*.jpg")):
        person, camera = path.name[:4], path.name[5:7]
        (tmp_path / "shop" / person).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "shop" / person / f"{camera}_{path.name}")

    def make(name: str, seed: int) -> Path:
        run = shutil.copytree(runs["first"], tmp_path / name)
        data = {"dataset": {"name": "folder", "root": str(tmp_path / "shop"), "seed": seed, "pattern": PATTERN}}
        (run / "config.yaml").write_text(yaml.safe_dump({"dataset": "shop", "data": data}))
        return run

    return make


def test_a_runs_own_data_set_is_read_as_for_its_training(call, trained, runs, read_page, tmp_path, refused):
    """Else persons whom it was trained on would be tested: the draw's seed is the run's, for the other rows too."""
    shop, one, other = f"folder={tmp_path / 'shop'}", trained("one", seed=5), trained("other", seed=6)
    options = ("--datasets", shop, "--device", "cpu")
    done = call("cross_domain", one, runs["second"], *options, "--rerank", "--out", tmp_path / "out", tiny=False)
    assert done.code == 0, done.err
    matrix = read_json(tmp_path / "out" / "matrix.json")
    assert re.match(
        r"read as in the training of one: folder in .*shop pattern .* seed 5$", matrix["rules"]["folder"][-1]
    )
    again = call("evaluate", one, "--rerank", "--out", tmp_path / "alone", "--device", "cpu", tiny=False)
    assert again.code == 0, again.err
    alone = read_json(tmp_path / "alone" / "score.json")
    scores = matrix["rows"][0]["scores"]["folder"]
    assert scores == {key: alone[key] for key in scores} and "reranked" in scores
    assert done.out.startswith("2 networks on 1 data set, in ")
    assert read_page(tmp_path / "out" / "report.html").all("h1") == ["2 networks on 1 data set"]
    assert "\none, re-ranked " in done.out and "re-ranked: k-reciprocal" in done.out
    assert "mAP" in matrix["rows"][1]["scores"]["folder"]

    done = call("cross_domain", one, other, *options, "--out", tmp_path / "both", tiny=False)
    refused(
        done, "one was trained on folder .* seed 5, other on folder .* seed 6.*evaluate the two in separate commands"
    )
    assert not (tmp_path / "both").exists()
    named = f"data.dataset={{name: folder, root: {tmp_path / 'shop'}, seed: 6}}"
    done = call("cross_domain", one, other, *options, "--set", named, "--out", tmp_path / "both", tiny=False)
    assert done.code == 0, done.err
    first, second = (row["scores"]["folder"] for row in read_json(tmp_path / "both" / "matrix.json")["rows"])
    assert "tests persons that the network was trained on" in first["skipped"] and "mAP" in second


def test_rows_of_one_name_are_told_apart(tmp_path, monkeypatch):
    """Seeds of two trainings, two files of one folder, and the folder that one is in."""
    files = [tmp_path / run / name for run in ("a/seed-0", "b/seed-0", "c") for name in ("last", "best")]
    files = [file.with_suffix(".safetensors") for file in files]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    monkeypatch.chdir(tmp_path)
    seeds = [Path("a/seed-0"), Path("b/seed-0")]
    assert row_names([*seeds, Path("c")]) == ["a/seed-0", "b/seed-0", "c"]
    both = ["c/last.safetensors", "c/best.safetensors"]
    assert row_names([Path(file) for file in both]) == both
    monkeypatch.chdir(tmp_path / "c")
    assert row_names([Path("."), Path("../a/seed-0/last.safetensors")]) == ["c", "seed-0"]
    assert row_names([Path("last.safetensors"), Path("OSNet-x0.42-market1501")]) == ["c", "OSNet-x0.42-market1501"]

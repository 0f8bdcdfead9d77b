"""``tools/cross_domain.py``: several runs on several data sets."""

from __future__ import annotations

import json

from reid.files import read_json
from reid.models.network import ReidNetwork


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
    assert call("cross_domain", *command, "--out", tmp_path / "two").code == 0
    again = json.loads((tmp_path / "two" / "matrix.json").read_text())
    assert again["rows"] == matrix["rows"]


def test_cross_domain_refuses(call, runs, tmp_path, refused):
    command, out = ("cross_domain", runs["first"]), ("--out", tmp_path / "out")
    refused(call(*command, "--datasets", "msmt71", *out), "no data set is called 'msmt71'; nearest: msmt17")
    refused(call(*command, "--datasets", "msmt17", "msmt17", *out), "name each data set only once")
    refused(call(*command, "--datasets", "msmt17", *out), "nothing could be evaluated; first: no MSMT17")
    assert not (tmp_path / "out").exists()

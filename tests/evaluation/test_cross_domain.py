"""The matrix as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

from evaluation.cross_domain import Cell, Matrix, Row, matrix_cells, matrix_markdown, matrix_table
from evaluation.report.cross_domain import write_matrix_report
from evaluation.retrieval.scores import ReidScore


def score(mAP: float) -> ReidScore:
    return ReidScore(mAP, mAP - 0.01, 2 * mAP, 0.9, 0.95, 1.0, 0.05, queries=10, skipped_queries=1)


MATRIX = Matrix(
    ("market1501", "msmt17", "a|b"),
    (
        Row("resnet18", "market1501: 751 identities", (Cell(score(0.3)), Cell(None, "not found"), Cell(score(0.12)))),
        Row("MLR-210M-A", "synthetic", (Cell(score(0.1)), Cell(None, "not found"), Cell(None, "no images"))),
    ),
    (("cosine distance", "passed over: identity -1"), (), ("cosine distance", "passed over: nothing")),
)
NOTES = [
    "msmt17: left out, not found",
    "a|b, MLR-210M-A: left out, no images",
    "cosine distance",
    "market1501: passed over: identity -1",
    "a|b: passed over: nothing",
]


def test_terminal():
    lines = matrix_table(MATRIX).splitlines()
    assert lines[0].startswith("mAP (step) / mAP (trapezoid) / Rank-1 in %")
    assert lines[1].split() == ["network", "trained", "on", "market1501", "msmt17", "a|b"]
    assert lines[3].endswith("30.0 / 29.0 / 60.0       -  12.0 / 11.0 / 24.0")
    assert len({len(line) for line in lines[2:4]}) == 1, "columns are aligned"
    assert lines[5:] == NOTES, "what was left out, and the rules of every column"


def test_markdown():
    lines = matrix_markdown(MATRIX).splitlines()
    assert lines[2] == r"| network | trained on | market1501 | msmt17 | a\|b |"
    assert lines[3] == "| --- | --- | ---: | ---: | ---: |"
    assert lines[5] == "| MLR-210M-A | synthetic | 10.0 / 9.0 / 20.0 | - | - |"
    assert lines[-len(NOTES) :] == [f"- {note}" for note in NOTES]


def test_re_ranked_scores_have_a_line_below():
    """Beside the plain ones, never in their place; not for networks that have none."""
    first, second = MATRIX.rows
    cells = (Cell(score(0.3), reranked=score(0.4)), *first.cells[1:])
    matrix = replace(MATRIX, rows=(replace(first, cells=cells), second))
    names = [line.split("  ")[0] for line in matrix_table(matrix).splitlines()[3:6]]
    assert names == ["resnet18", "resnet18, re-ranked", "MLR-210M-A"]
    assert matrix_cells(matrix)[2][2:] == ["40.0 / 39.0 / 80.0", "-", "-"]
    assert matrix_cells(matrix)[1::2] == matrix_cells(MATRIX)[1:]
    scores = matrix.as_dict()["rows"][0]["scores"]
    assert scores["market1501"] == {**score(0.3).as_dict(), "reranked": score(0.4).as_dict()}


def test_json():
    data = json.loads(json.dumps(MATRIX.as_dict()))
    assert data["datasets"] == ["market1501", "msmt17", "a|b"]
    assert data["rows"][0]["scores"]["a|b"] == score(0.12).as_dict()
    assert data["rows"][1]["scores"]["msmt17"] == {"skipped": "not found"}
    assert (
        data["rules"]["market1501"] == ["cosine distance", "passed over: identity -1"] and not data["rules"]["msmt17"]
    )


def test_page(read_page, tmp_path):
    page = read_page(write_matrix_report(tmp_path / "report.html", MATRIX, "python x > y"))
    assert page.all("p")[1:] == NOTES and page.all("code") == ["python x > y"] and not page.links
    first = ["resnet18", "market1501: 751 identities", "30.0 / 29.0 / 60.0", "-", "12.0 / 11.0 / 24.0"]
    assert page.all("td")[:5] == first
    assert page.all("dd") == ["30.0 %, resnet18", "12.0 %, resnet18", "3 of 6"]

"""The matrix as text and as JSON."""

from __future__ import annotations

import json

from evaluation.cross_domain import Cell, Matrix, Row, matrix_markdown, matrix_table
from evaluation.retrieval.scores import ReidScore


def score(mAP: float) -> ReidScore:
    return ReidScore(mAP, mAP - 0.01, 2 * mAP, 0.9, 0.95, 1.0, 0.05, queries=10, skipped_queries=1)


MATRIX = Matrix(
    ("market1501", "msmt17", "a|b"),
    (
        Row("resnet18", "market1501: 751 identities", (Cell(score(0.3)), Cell(None, "not found"), Cell(score(0.12)))),
        Row("MLR-210M-A", "synthetic", (Cell(score(0.1)), Cell(None, "not found"), Cell(None, "no images"))),
    ),
    ("cosine distance",),
)


def test_terminal():
    lines = matrix_table(MATRIX).splitlines()
    assert lines[0].startswith("mAP (step) / mAP (trapezoid) / Rank-1 in %")
    assert lines[1].split() == ["network", "trained", "on", "market1501", "msmt17", "a|b"]
    assert lines[3].endswith("30.0 / 29.0 / 60.0       -  12.0 / 11.0 / 24.0")
    assert len({len(line) for line in lines[2:4]}) == 1, "columns are aligned"
    assert lines[5:] == ["msmt17: left out, not found", "a|b, MLR-210M-A: left out, no images", "cosine distance"]


def test_markdown():
    lines = matrix_markdown(MATRIX).splitlines()
    assert lines[2] == r"| network | trained on | market1501 | msmt17 | a\|b |"
    assert lines[3] == "| --- | --- | ---: | ---: | ---: |"
    assert lines[5] == "| MLR-210M-A | synthetic | 10.0 / 9.0 / 20.0 | - | - |"
    assert lines[-1] == "- cosine distance"


def test_json():
    data = json.loads(json.dumps(MATRIX.as_dict()))
    assert data["datasets"] == ["market1501", "msmt17", "a|b"]
    assert data["rows"][0]["scores"]["a|b"] == score(0.12).as_dict()
    assert data["rows"][1]["scores"]["msmt17"] == {"skipped": "not found"}

"""The worked example of ``docs/evaluation.md``, and that the page has these figures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluation.retrieval.metrics import score_features
from evaluation.retrieval.rules import RECORDS

PAGE = Path(__file__).parents[3] / "docs" / "evaluation.md"

GALLERY = (  # in the order of their distance to the query, person 7 at camera 1
    (7, 2),  # right
    (-1, 3),  # junk: as if it were not there
    (7, 1),  # the query's own camera: passed over
    (9, 2),  # wrong
    (0, 2),  # a distractor: wrong
    (7, 3),  # right
    (8, 1),  # wrong
    (7, 2),  # right
)


def test_the_pages_example():
    gallery = torch.arange(1.0, 9)[:, None]
    pids, camids = (torch.tensor(column) for column in zip(*GALLERY, strict=True))
    score = score_features(
        torch.zeros(1, 1), torch.tensor([7]), torch.tensor([1]), gallery, pids, camids, "euclidean", rule=RECORDS
    )
    # Right at ranks 1, 4 and 6 of six.
    step = (1 / 1 + 2 / 4 + 3 / 6) / 3
    trapezoid = ((1 + 1 / 1) / 2 + (1 / 3 + 2 / 4) / 2 + (2 / 5 + 3 / 6) / 2) / 3
    assert score.mAP == pytest.approx(step) and score.mAP_trapezoid == pytest.approx(trapezoid)
    assert score.mINP == pytest.approx(3 / 6) and score.rank1 == 1
    page = PAGE.read_text(encoding="utf-8")
    assert f"{step:.4f}" in page and f"{trapezoid:.4f}" in page

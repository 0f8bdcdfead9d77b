"""What the page of a search says of the archs that it chose."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from search.finalists import Finalist
from search.history import Candidate
from search.result import SearchResult, Speed
from supernet.files import load_space
from supernet.space.genome import largest, smallest
from tools.jobs.search.report import write_search_report

SPACE = load_space("tiny")
FIRST = Candidate(0, "random", 9_000_000, 70_000, 0.5, None, 0.1, {}, largest(SPACE), 1.5)
CHOSEN = Candidate(1, "random", 1_000_000, 10_000, 0.4, None, 0.1, {}, smallest(SPACE), 0.25)
"""The lower score of the two."""


@pytest.fixture
def page_of(make_job, tmp_path, read_page) -> Callable:
    """The page of a search that chose one arch of two; its measured latency and its finalists, best first."""

    def page_of(measured: tuple[float, ...] = (), finalists: tuple[Finalist, ...] = ()):
        both, archs = (FIRST, CHOSEN), (tmp_path / "MLR-9M-A.yaml",)
        speed = Speed(2, 1.0)
        result = SearchResult(
            tmp_path, both, both, ("flops",), (CHOSEN,), archs, measured, (), {}, speed, finalists=finalists
        )
        return read_page(write_search_report(make_job(tmp_path), result, "evolution", []))

    return page_of


def test_a_finalist_is_the_best_by_what_it_scored_when_it_was_trained(page_of):
    page = page_of(finalists=(Finalist(CHOSEN, 0.61), Finalist(FIRST, 0.6)))
    assert page.all("dt")[0] == "Best finalist, held-out mAP" and page.all("dd")[0] == "61.0 %, MLR-9M-A"
    cells = page.all("td")
    assert cells[cells.index("MLR-9M-A") + 1] == "40.0"


@pytest.mark.parametrize(("measured", "told"), [((), ["0.250 ms"]), ((0.3,), ["0.250 ms", "0.300 ms"])])
def test_predicted_latency_is_told_also_where_nothing_is_measured(page_of, measured, told):
    page = page_of(measured)
    assert [cell for cell in page.all("td") if cell.endswith(" ms")] == told
    assert [head for head in page.all("th") if head in ("latency", "measured")] == ["latency", "measured"][: len(told)]

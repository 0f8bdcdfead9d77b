"""``SearchResult``: the result of a finished search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from search.finalists import Finalist
from search.history import Candidate


@dataclass(frozen=True)
class Speed:
    """The speed of one call of the search, without earlier evaluations.

    Attributes:
        candidates: evaluated by this call, by all of its processes together.
        seconds: from the first one's proposal until the last one was logged.
    """

    candidates: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.candidates / self.seconds if self.candidates else 0.0


@dataclass(frozen=True)
class SearchResult:
    """The result of a finished search.

    Attributes:
        out: the folder that all files are in.
        candidates: in the order of their trials.
        front: the Pareto front of costs and score, cheapest by the first of the costs first.
        costs: the fields of ``Candidate`` that are the front's costs, of ``flops``, ``latency_ms`` and ``parameters``.
        best: the chosen candidates, best first; ``archs`` are their files.
        measured_ms: their latencies as measured on the target; empty where there is none.
        notes: lines for the user, e.g. that the space had fewer archs than trials were asked for.
        predictor: Spearman's and Kendall's rank correlation of the predictor that screened children with scores that it
            had not seen; empty where none screened.
        speed: of the call that ended the search.
        finalists: best first; ``best`` are the first of them. Empty where none was trained.
    """

    out: Path
    candidates: tuple[Candidate, ...]
    front: tuple[Candidate, ...]
    costs: tuple[str, ...]
    best: tuple[Candidate, ...]
    archs: tuple[Path, ...]
    measured_ms: tuple[float, ...]
    notes: tuple[str, ...]
    predictor: Mapping[str, float]
    speed: Speed
    finalists: tuple[Finalist, ...] = ()


Report = Callable[[SearchResult], object]
"""Shows a result in the search's folder."""

"""What a search leaves when it ends: the front, the chosen archs as files, and a summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reid.errors import UserError
from reid.files import write_json
from search.arch_files import arch_names, archs_before, describe, write_arch
from search.config import FinalistsConfig, SearchConfig
from search.finalists import Finalist
from search.folder import ARCHS, FRONT, SUMMARY
from search.front import knees, pareto_front, write_front
from search.history import Candidate, best_of
from search.limits import Limits
from supernet.arch import Arch

Measure = Callable[[Sequence[Arch]], Sequence[float]]
"""Latencies of whole networks in ms, measured on the target."""


@dataclass(frozen=True)
class Speed:
    """How fast a call of the search was, whatever was evaluated before it.

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
class Asked:
    """What a search was asked for.

    Attributes:
        limits: that its archs keep.
        config: how many archs it chooses, and what it calls them.
        settings: by ``search.settings``.
        origin: goes into the arch files and the summary.
    """

    limits: Limits
    config: SearchConfig
    settings: Mapping[str, Any]
    origin: Mapping[str, Any]


@dataclass(frozen=True)
class Ended:
    """What its trials came to.

    Attributes:
        history: all candidates, in the order of their trials.
        costs: the fields that the front is drawn over.
        speed: of this call; candidates of an earlier one count in ``seconds`` of the summary alone.
        notes, predictor, finalists: see ``SearchResult``.
    """

    history: Sequence[Candidate]
    costs: Sequence[str]
    speed: Speed
    notes: Sequence[str] = ()
    predictor: Mapping[str, float] = field(default_factory=dict)
    finalists: Sequence[Finalist] = ()


@dataclass(frozen=True)
class SearchResult:
    """What a finished search gives.

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


def finish(
    out: Path, asked: Asked, ended: Ended, measure: Measure | None = None, report: Report | None = None
) -> SearchResult:
    """Writes everything but the log into ``out``, last the summary, by which the search is taken for finished.

    Args:
        measure: measures the chosen archs.
        report: called before the summary is written.

    Raises:
        UserError: no candidate got a score.
    """
    config, history, finalists = asked.config, ended.history, ended.finalists
    check_scored(history)
    front = pareto_front(history, minimise=ended.costs)
    best = _chosen(asked, ended, front)
    write_front(out / FRONT, front)
    measured = tuple(measure([each.arch for each in best])) if measure else ()
    archs, rows = [], []
    names = arch_names(config, asked.limits)
    # Kept first: where this call is killed among its files, the next one, by other names again, knows these too.
    former = sorted({*archs_before(out), *names[: len(best)]})
    write_json(out / SUMMARY, {"finished": False, "former": former, "settings": asked.settings})
    for name in {*names, *archs_before(out)} - set(names[: len(best)]):  # no longer among the chosen
        (out / ARCHS / f"{name}.yaml").unlink(missing_ok=True)
    for index, (name, candidate) in enumerate(zip(names, best, strict=False)):
        about = describe(candidate) | ({"measured_ms": measured[index]} if measured else {})
        about |= {"trained_score": finalists[index].trained} if finalists else {}
        archs.append(write_arch(out, name, candidate.arch, asked.settings, about, asked.origin))
        rows.append({"name": name, "file": f"{ARCHS}/{name}.yaml", **about})
    summary = {
        "candidates": len(history),
        "failed": sum(candidate.score is None for candidate in history),
        "seconds": round(sum(candidate.seconds for candidate in history), 3),
        "candidates_per_second": round(ended.speed.per_second, 4),
        "front": len(front),
        "best": rows,
        "notes": list(ended.notes),
        **({"predictor": dict(ended.predictor)} if ended.predictor else {}),
        **({"finalists": _trained(finalists, config.finalists)} if finalists else {}),
    }
    result = SearchResult(
        out,
        candidates=tuple(history),
        front=front,
        costs=tuple(ended.costs),
        best=best,
        archs=tuple(archs),
        measured_ms=measured,
        notes=tuple(ended.notes),
        predictor=ended.predictor,
        speed=ended.speed,
        finalists=tuple(finalists),
    )
    if report is not None:
        report(result)
    whole = {"finished": True, **summary, "settings": asked.settings, "run_origin": dict(asked.origin)}
    write_json(out / SUMMARY, whole)
    return result


def _chosen(asked: Asked, ended: Ended, front: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The candidates whose archs are written, best first: of finalists by their training, with ``pareto`` along the
    front, otherwise by their scores."""
    count = asked.config.top_k
    if asked.settings["strategy"] == "pareto":
        return knees(front, count, ended.costs)
    return tuple(each.candidate for each in ended.finalists[:count]) or best_of(ended.history, count)


def check_scored(history: Sequence[Candidate]) -> None:
    """Raises UserError where no candidate got a score."""
    if all(candidate.score is None for candidate in history):
        cure = "lower min_flops_fraction" if not history else "is the supernet trained?"
        raise UserError(f"none of {len(history)} candidates got a score: {cure}")


def _trained(finalists: Sequence[Finalist], config: FinalistsConfig) -> dict[str, Any]:
    rows = [
        {"trial": each.candidate.trial, "score": each.candidate.score, "trained_score": each.trained}
        for each in finalists
    ]
    return {"start": config.start, "epochs": config.epochs, "best_first": rows}

"""The files that a finished search writes: the front, the chosen archs, and a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reid.files import write_json
from search.arch_files import arch_names, archs_before, describe, write_arch
from search.asked import Asked
from search.config import FinalistsConfig
from search.finalists import Finalist
from search.folder import ARCHS, FRONT, SUMMARY
from search.front import knees, pareto_front, write_front
from search.history import Candidate, best_of
from search.means import Means
from search.result import SearchResult, Speed
from search.settings import settings_of


@dataclass(frozen=True)
class Ended:
    """The outcome of a search's trials.

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


def finish(out: Path, asked: Asked, ended: Ended, means: Means) -> SearchResult:
    """Writes everything but the log into ``out``; the summary, which marks the search as finished, comes last. At least
    one candidate must have a score.
    """
    settings = settings_of(asked)
    front = pareto_front(ended.history, minimise=ended.costs)
    best = _chosen(asked, ended, front)
    write_front(out / FRONT, front)
    measured = tuple(means.measure([each.arch for each in best])) if means.measure else ()
    rows = _write_archs(out, asked, settings, best, _facts(best, measured, ended.finalists))
    result = SearchResult(
        out,
        candidates=tuple(ended.history),
        front=front,
        costs=tuple(ended.costs),
        best=best,
        archs=tuple(out / row["file"] for row in rows),
        measured_ms=measured,
        notes=tuple(ended.notes),
        predictor=ended.predictor,
        speed=ended.speed,
        finalists=tuple(ended.finalists),
    )
    if means.report is not None:
        means.report(result)
    whole = _summary(asked, result, rows) | {"settings": settings, "run_origin": dict(asked.origin)}
    write_json(out / SUMMARY, {"finished": True, **whole})
    return result


def _chosen(asked: Asked, ended: Ended, front: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The candidates whose archs are written, best first: of finalists by their training, with ``pareto`` along the
    front, otherwise by their scores."""
    count = asked.config.top_k
    if asked.strategy == "pareto":
        return knees(front, count, ended.costs)
    return tuple(each.candidate for each in ended.finalists[:count]) or best_of(ended.history, count)


def _facts(best: Sequence[Candidate], measured: Sequence[float], finalists: Sequence[Finalist]) -> list[dict[str, Any]]:
    """The costs and scores of each chosen candidate."""
    facts = []
    for index, candidate in enumerate(best):
        known = describe(candidate) | ({"measured_ms": measured[index]} if measured else {})
        facts.append(known | ({"trained_score": finalists[index].trained} if finalists else {}))
    return facts


def _write_archs(
    out: Path, asked: Asked, settings: Mapping[str, Any], best: Sequence[Candidate], facts: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Writes the chosen archs in place of those of before; their rows of the summary."""
    names = arch_names(asked.config, asked.limits)
    chosen = names[: len(best)]
    # Saved first: if this call is killed while writing, the next one, which may use other names, knows these too.
    former = sorted({*archs_before(out), *chosen})
    write_json(out / SUMMARY, {"finished": False, "former": former, "settings": settings})
    for name in {*names, *archs_before(out)} - set(chosen):
        (out / ARCHS / f"{name}.yaml").unlink(missing_ok=True)
    rows = []
    for name, candidate, known in zip(chosen, best, facts, strict=True):
        write_arch(out, name, candidate.arch, settings, known, asked.origin)
        rows.append({"name": name, "file": f"{ARCHS}/{name}.yaml", **known})
    return rows


def _summary(asked: Asked, result: SearchResult, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    trained = {"finalists": _trained(result.finalists, asked.config.finalists)} if result.finalists else {}
    return {
        "candidates": len(result.candidates),
        "failed": sum(candidate.score is None for candidate in result.candidates),
        "seconds": round(sum(candidate.seconds for candidate in result.candidates), 3),
        "candidates_per_second": round(result.speed.per_second, 4),
        "front": len(result.front),
        "best": list(rows),
        "notes": list(result.notes),
        **({"predictor": dict(result.predictor)} if result.predictor else {}),
        **trained,
    }


def _trained(finalists: Sequence[Finalist], config: FinalistsConfig) -> dict[str, Any]:
    rows = [
        {"trial": each.candidate.trial, "score": each.candidate.score, "trained_score": each.trained}
        for each in finalists
    ]
    return {"start": config.start, "epochs": config.epochs, "best_first": rows}

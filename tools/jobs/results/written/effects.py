"""Differences between rows: the effects of the ladder's levers, and the gain of a search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from search.gain.analysis import Gain, Trained, compare
from search.gain.statistics import Difference, difference, mean_of
from tools.jobs.results.plan.file import PlannedRow, planned_rows
from tools.jobs.results.plan.row_parts import Found
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.plan.steps import ROW, Step
from tools.jobs.results.settings import step_settings
from tools.jobs.results.written.figures import Figures


@dataclass(frozen=True)
class Effect:
    """The effect of a lever: its row minus the base row, as fractions."""

    lever: Figures
    mAP: Difference
    rank1: Difference


def ladder(setup: Setup, rows: Sequence[Figures]) -> tuple[Figures | None, tuple[Effect, ...]]:
    """The base row and the effect of every finished lever; ``None`` and no effects if the base is not finished."""
    plan = setup.plan.ladder
    base = next((row for row in rows if plan and row.name == plan.row), None)
    if base is None:
        return None, ()
    return base, tuple(
        Effect(row, *(difference(mean_of(row.values(each)), mean_of(base.values(each))) for each in ("mAP", "rank1")))
        for row in rows
        if row.lever or row.name in plan.also
    )


def search_gains(setup: Setup, rows: Iterable[Figures]) -> list[Gain]:
    """For each search whose best arch and random archs were trained alike: the best arch's score minus their mean."""
    by_name = {row.name: row for row in rows if not row.lever}
    lines = [planned for planned in planned_rows(setup.plan) if planned.name in by_name]
    made = []
    for row in setup.plan.rows:
        if row.random is None or row.random.search is None:
            continue
        rivals = [each for each in lines if each.row == row]
        for best in lines:
            if best.row.found != Found(row.random.search, 1) or len(rivals) < row.random.count:
                continue
            found, others = by_name[best.name], [by_name[each.name] for each in rivals]
            if _alike(found, others) and all(_how(setup, best) == _how(setup, each) for each in rivals):
                made.append(compare("search gain", [_trained(found)], [_trained(each) for each in others]))
    return made


def _alike(found: Figures, rivals: Sequence[Figures]) -> bool:
    return all(
        (row.recipe, row.epochs, row.train_set) == (found.recipe, found.epochs, found.train_set) for row in rivals
    )


def _how(setup: Setup, planned: PlannedRow) -> dict[str, Any]:
    """All settings that decide a row's outcome, except its seed and the found or drawn arch; changes to that arch are
    included."""
    settings = step_settings(setup, Step(planned.name, ROW, planned))
    return {**settings, "seed": None, "network": settings["network"]["change"]}


def _trained(row: Figures) -> Trained:
    seeds = tuple(seed.seed for seed in row.seeds)
    scores = (row.values("mAP"), row.values("rank1"))
    return Trained(row.name, row.kind, row.recipe, row.flops, row.parameters, seeds, *scores, row.train_set)

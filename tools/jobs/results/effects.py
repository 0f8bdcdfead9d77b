"""Differences between rows: what the ladder's levers do, and what a search gained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from search.gain.analysis import Gain, Trained, compare
from search.gain.statistics import Difference, difference, mean_of
from tools.jobs.results.figures import Figures
from tools.jobs.results.plan import planned_rows
from tools.jobs.results.setup import Setup


@dataclass(frozen=True)
class Effect:
    """What a lever does: its row less the base row, as fractions."""

    lever: Figures
    mAP: Difference
    rank1: Difference


def ladder(setup: Setup, rows: Sequence[Figures]) -> tuple[Figures | None, tuple[Effect, ...]]:
    """The base row, and the effect of every finished lever; nothing where the base is not finished."""
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
    """For each search whose best arch and random rivals are trained alike: the best one less the rivals' mean."""
    by_name = {row.name: row for row in rows if not row.lever}
    made = []
    for row in setup.plan.rows:
        if row.random is None or row.random.search is None:
            continue
        rivals = [by_name[each.name] for each in planned_rows(setup.plan) if each.row == row and each.name in by_name]
        for other in setup.plan.rows:
            found = by_name.get(other.name) if other.found and other.found.search == row.random.search else None
            if found and other.found.number == 1 and len(rivals) == row.random.count and _alike(found, rivals):
                made.append(compare("search gain", [_trained(found)], [_trained(each) for each in rivals]))
    return made


def _alike(found: Figures, rivals: Sequence[Figures]) -> bool:
    return all(
        (row.recipe, row.epochs, row.train_set) == (found.recipe, found.epochs, found.train_set) for row in rivals
    )


def _trained(row: Figures) -> Trained:
    seeds = tuple(seed.seed for seed in row.seeds)
    scores = (row.values("mAP"), row.values("rank1"))
    return Trained(row.name, row.kind, row.recipe, row.flops, row.parameters, seeds, *scores, row.train_set)

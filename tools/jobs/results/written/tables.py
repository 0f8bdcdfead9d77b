"""The tables of an experiment: rows, ladder, ranking, published rows, and how each row was made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from reid.files import expecting, read_mapping
from search.gain.statistics import Difference
from search.ranking.analysis import TEST
from search.ranking.statistics import Estimate
from tools.jobs.proofs.rank_result import RANKING
from tools.jobs.results.plan.file import slug
from tools.jobs.results.plan.published import PublishedRow, load_published
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.plan.steps import RANKING as RANKING_STEP
from tools.jobs.results.plan.steps import plan_steps
from tools.jobs.results.states import AGAIN, is_done
from tools.jobs.results.written.block import Block
from tools.jobs.results.written.effects import Effect, ladder, search_gains
from tools.jobs.results.written.figures import Figures, SeedRun
from tools.jobs.results.written.row_table import percent, rows_part

WITHIN = 1.5
"""Points of mAP by which a row may differ from the published one and still count as the same."""


def write_up(
    setup: Setup, rows: Sequence[Figures], log: Callable[[Figures, SeedRun], str], linked: bool = False
) -> list[Block]:
    """The whole text, without empty parts; contains only what was measured or published.

    ``log`` gives the path of a training's log; ``linked`` says that this path works as a link from the text."""
    main = [row for row in rows if not row.lever]
    parts = [
        rows_part(setup, main),
        _held_against(setup, main),
        _ladder(*ladder(setup, rows)),
        _gains(setup, rows),
        _rankings(setup),
        _published(setup),
        _made_by(rows, log, linked),
    ]
    return [part for part in parts if part is not None]


def _held_against(setup: Setup, rows: Sequence[Figures]) -> Block | None:
    """Our rows that reproduce a published one, compared with it."""
    theirs = {row.name: row for row in _published_rows(setup)}
    lines = []
    for row in rows:
        name = next((each.published for each in setup.plan.rows if each.name == row.name), None)
        if name in theirs:
            off = 100 * row.mean("mAP") - theirs[name].mAP
            near = f"within {WITHIN:g} points" if abs(off) <= WITHIN else f"further than {WITHIN:g} points"
            first = f"{row.name}: {100 * row.mean('mAP'):.1f} mAP / {100 * row.mean('rank1'):.1f} Rank-1 of ours"
            lines.append(f"{first}, {theirs[name].mAP} / {theirs[name].rank1} published ({off:+.1f}, {near})")
    return Block("Against the published rows", points=tuple(lines)) if lines else None


def _ladder(base: Figures | None, effects: Sequence[Effect]) -> Block | None:
    if base is None or not effects:
        return None
    headers = ("one thing otherwise", "seeds", "mAP (step) %", "difference", "Rank-1 %", "difference", "FLOPs (M)")
    lines = [(f"{base.name} (base)", _seeds(base), percent(base, "mAP"), "", percent(base, "rank1"), "", _mega(base))]
    for effect in effects:
        row = effect.lever
        scores = (percent(row, "mAP"), _points(effect.mAP), percent(row, "rank1"), _points(effect.rank1))
        lines.append((row.name, _seeds(row), *scores, _mega(row)))
    note = (
        "Differences to the base row in points, ± their standard error where both have two seeds or more; "
        "* where the 95 % interval leaves 0 out."
    )
    return Block("One lever at a time", headers=headers, lines=tuple(lines), words=2, note=note)


def _seeds(row: Figures) -> str:
    return ", ".join(str(seed.seed) for seed in row.seeds)


def _mega(row: Figures) -> str:
    return f"{row.flops / 1e6:.1f}"


def _points(found: Difference) -> str:
    error = "" if found.error is None else f" ± {100 * found.error:.1f}"
    return f"{100 * found.value:+.1f}{error}{'*' if found.settled else ''}"


def _gains(setup: Setup, rows: Sequence[Figures]) -> Block | None:
    gains = tuple(each.sentence for each in search_gains(setup, rows))
    return Block("What the search is worth", points=gains) if gains else None


def _rankings(setup: Setup) -> Block | None:
    """The results of ``tools/rank.py``, against the test set."""
    lines = []
    for step in plan_steps(setup.plan):
        if step.kind == RANKING_STEP and is_done(setup.places, step):
            path = setup.places.run(step) / RANKING
            data = read_mapping(path, AGAIN)
            with expecting(path, AGAIN):
                for ranker, found in data["against"][TEST]["rankers"].items():
                    lines.append((step.part.name, ranker, str(len(data["archs"])), _tau(found["tau"])))
    headers = ("ranking", "ranker", "archs", "Kendall's tau")
    heading = "Ranks against stand-alone trainings"
    return Block(heading, headers=headers, lines=tuple(lines), words=2) if lines else None


def _tau(found: dict[str, Any] | None) -> str:
    return "no order" if found is None else str(Estimate(**found))


def _published_rows(setup: Setup) -> tuple[PublishedRow, ...]:
    file = setup.plan.published
    return () if file is None else load_published(setup.file.parent / file).rows


def _published(setup: Setup) -> Block | None:
    rows = _published_rows(setup)
    if not rows:
        return None
    about = load_published(setup.file.parent / setup.plan.published).about
    headers = ("published row", "weights", "source", "mAP %", "Rank-1 %", "FLOPs, as printed")
    lines = ((row.name, row.weights, row.source, f"{row.mAP:g}", f"{row.rank1:g}", row.flops or "-") for row in rows)
    return Block("Published by others, not measured here", about, headers, tuple(lines), words=3)


def _made_by(rows: Sequence[Figures], log: Callable[[Figures, SeedRun], str], linked: bool) -> Block | None:
    if not rows:
        return None
    headers = ("row", "seed", "command", "commit", "log")
    lines = (
        (row.name, str(seed.seed), seed.command, seed.commit, log(row, seed)) for row in rows for seed in row.seeds
    )
    links = frozenset({4}) if linked else frozenset()
    heading = "How each row was made"
    return Block(heading, headers=headers, lines=tuple(lines), words=5, code=frozenset({2, 4}), links=links)


def log_of(row: Figures, seed: SeedRun) -> str:
    """The path of the training's log on this machine."""
    return f"{seed.run}/metrics.jsonl"


def log_name(row: Figures, seed: SeedRun) -> str:
    """A log's file name in a published experiment."""
    return f"{slug(row.name)}-s{seed.seed}.jsonl"

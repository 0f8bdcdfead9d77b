"""The page of an experiment: the table with its notes, the picture, and links to the runs' own pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evaluation.report.html import REPORT, Link, Picture, Section, Words, write_report
from evaluation.tables import Table
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.plan.steps import ROW, plan_steps
from tools.jobs.results.states import is_done
from tools.jobs.results.written.block import Block
from tools.jobs.results.written.figures import Figures
from tools.jobs.runs.provenance import made_by

CAPTION = "mAP on the test set against FLOPs, and against latency where it was measured; without the ladder's levers."
NO_FRONT = " There is no front: not all of these networks were trained and tested alike."


def alike(rows: Sequence[Figures]) -> bool:
    """Whether all rows in the picture share training images, test images and cost size."""
    return len({(row.train_set, row.test_set, row.cost_size) for row in rows if not row.lever}) == 1


def write_results_report(setup: Setup, rows: Sequence[Figures], blocks: Sequence[Block], picture: Path | None) -> Path:
    """Writes ``report.html`` into the experiment's folder and returns its path.

    Its links are relative to that folder, so the page only works there.

    Args:
        blocks: the whole text; the first block is the table of ``rows``.
        picture: accuracy against cost; ``None`` if no row is finished.
    """
    first, *others = (_section(block) for block in blocks)
    sections = [first]
    if picture is not None:
        caption = CAPTION if alike(rows) else CAPTION + NO_FRONT
        sections.append(Section("Accuracy against cost", pictures=(Picture(picture, caption),)))
    sections += others
    links = _links(setup)
    if links:
        sections.append(Section("Pages of the runs", links=links))
    sections.append(Section("Command", code=made_by()))
    sections.append(Section("Plan", code=setup.file.read_text(encoding="utf-8").rstrip()))
    return write_report(setup.places.out / REPORT, f"Experiment {setup.file.stem}", _cards(setup, rows), sections)


def _section(block: Block) -> Section:
    heading, about = block.heading or "Rows", (block.about,) if block.about else ()
    below = (*block.points, *((block.note,) if block.note else ()))
    if not block.headers:
        return Section(heading, (*about, *below))
    if block.words == len(block.headers):
        return Section(heading, (*about, *below), words=Words(block.headers, block.lines))
    return Section(heading, about, Table(block.headers, block.lines, notes=below, words=block.words))


def _links(setup: Setup) -> tuple[Link, ...]:
    """Links to every run that has a page, in the order of the steps."""
    places, pages = setup.places, []
    for step in plan_steps(setup.plan):
        pages.append((step.name, places.run(step) / REPORT))
        if step.kind == ROW:
            pages.append((f"{step.name}, flip test", places.flip(step) / REPORT))
    return tuple(Link(name, page.relative_to(places.out).as_posix()) for name, page in pages if page.is_file())


def _cards(setup: Setup, rows: Sequence[Figures]) -> list[tuple[str, str]]:
    steps, main = plan_steps(setup.plan), [row for row in rows if not row.lever]
    done = sum(is_done(setup.places, step) for step in steps)
    cards = [("Steps finished", f"{done} of {len(steps)}"), ("Trainings", str(sum(len(row.seeds) for row in rows)))]
    if main and len({(row.train_set, row.test_set) for row in main}) == 1:
        best, cheapest = max(main, key=lambda row: row.mean("mAP")), min(main, key=lambda row: row.flops)
        cards.append(("Best mAP", f"{100 * best.mean('mAP'):.1f} %, {best.name}"))
        cards.append(("Fewest FLOPs", f"{cheapest.flops / 1e6:.1f} M, {cheapest.name}"))
    return cards

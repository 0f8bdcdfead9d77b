"""Writes an experiment's results and publishes a part of them, without images of persons or paths of this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.pictures.costs import CostDot, draw_costs
from reid.engine.runs.run_folder import METRICS
from reid.errors import UserError
from reid.files import write_json, write_text
from search.folder import LOG, SUMMARY
from tools.jobs.paths import shown
from tools.jobs.proofs.rank_result import RANKING
from tools.jobs.results.archs import has_own_file
from tools.jobs.results.plan.file import planned_rows, slug
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.plan.steps import LATENCY, ROW, SEARCH, SUPERNET, Step, plan_steps
from tools.jobs.results.plan.steps import RANKING as RANKING_STEP
from tools.jobs.results.settings import check_steps
from tools.jobs.results.states import is_done, latencies
from tools.jobs.results.written.block import to_markdown
from tools.jobs.results.written.earlier import FILES, RESULTS, files_before, remove_files
from tools.jobs.results.written.effects import ladder
from tools.jobs.results.written.figures import Figures, SeedRun, figures_to_dict, read_figures
from tools.jobs.results.written.portable import portable
from tools.jobs.results.written.report import alike, write_results_report
from tools.jobs.results.written.tables import log_name, log_of, write_up

TABLE, PICTURE, LOGS, ARCHS = "table.md", "front.png", "logs", "archs"


def write_results(setup: Setup, rows: Sequence[Figures]) -> Path:
    """Writes ``results.json``, ``table.md``, ``front.png`` and ``report.html`` for the finished rows; returns the path
    of ``table.md``."""
    out = setup.places.out
    write_json(out / RESULTS, _data(setup, rows))
    blocks = write_up(setup, rows, log_of)
    write_results_report(setup, rows, blocks, _draw(setup, rows, out / PICTURE))
    return write_text(out / TABLE, to_markdown(blocks))


def publish(setup: Setup, folder: Path) -> Path:
    """Writes what ``write_results`` does into ``folder``, except the page, whose links lead to the runs' own pages.
    Adds records of finished steps in ``logs/`` (metrics of trainings, candidates of searches) and archs in ``archs/``.
    Absolute paths are made relative or cut to their last part. Files that an earlier call wrote for rows and steps no
    longer in the plan are removed. Returns the table's path.

    Raises:
        UserError: ``folder`` is the plan's output folder or holds another plan's results; no row is finished; a
            finished step's settings differ from the plan's, or its records are missing.
    """
    if folder.resolve() == setup.places.out.resolve():
        raise UserError(f"--publish {shown(folder)}: is the folder in which the plan itself writes; give another")
    steps = plan_steps(setup.plan)
    done = [step for step in steps if step.kind != LATENCY and is_done(setup.places, step)]
    check_steps(setup, done)
    rows = read_figures(setup)
    if not rows:
        raise UserError(
            f"no row in {shown(setup.places.out)} is finished, so there is nothing to publish; run the plan without "
            "--publish first"
        )
    copies = _archs(setup)
    for step in done:
        copies |= _notes(setup, step)
        _check_there(setup, step)
    before, known = files_before(folder, setup.file.stem), {name for step in steps for name in _notes(setup, step)}
    known |= {f"{ARCHS}/{setup.places.arch(planned).name}" for planned in planned_rows(setup.plan)}
    picture = {PICTURE} if any(not row.lever for row in rows) else set()

    def log(row: Figures, seed: SeedRun) -> str:
        return f"{LOGS}/{log_name(row, seed)}"

    data = json.loads(portable(json.dumps(_data(setup, rows))))
    logs = {(row.name, seed.seed): log(row, seed) for row in rows for seed in row.seeds}
    for row in data["rows"]:
        for seed in row["seeds"]:
            del seed["run"]
            seed["log"] = logs[row["name"], seed["seed"]]
    own = {TABLE, *picture, *copies}
    write_json(folder / RESULTS, {**data, FILES: sorted(own | before)})  # if killed here, the next call knows all files
    _draw(setup, rows, folder / PICTURE)
    for name, source in copies.items():
        write_text(folder / name, portable(source.read_text(encoding="utf-8")))
    table = write_text(folder / TABLE, portable(to_markdown(write_up(setup, rows, log, linked=True))))
    kept = own | (before & known)
    remove_files(folder, before - kept)
    write_json(folder / RESULTS, {**data, FILES: sorted(kept)})
    return table


def _notes(setup: Setup, step: Step) -> dict[str, Path]:
    """The records that a step writes, by the path under which they are published."""
    run = setup.places.run(step)
    if step.kind == ROW:
        return {f"{LOGS}/{run.name}.jsonl": run / METRICS}
    files = {SUPERNET: (METRICS,), SEARCH: (SUMMARY, LOG), RANKING_STEP: (RANKING,)}.get(step.kind, ())
    return {f"{LOGS}/{slug(step.kind)}-{run.name}.{name}": run / name for name in files}


def _check_there(setup: Setup, step: Step) -> None:
    """Raises UserError if a record of a finished step is missing."""
    gone = next((file for file in _notes(setup, step).values() if not file.is_file()), None)
    if gone is not None:
        raise UserError(
            f"{step.name}: {shown(gone)} is gone; restore it, or remove {shown(gone.parent)} and give the command "
            "again without --publish, which makes it again"
        )


def _archs(setup: Setup) -> dict[str, Path]:
    """The arch files of the plan's rows, by the path under which they are published."""
    files = [setup.places.arch(planned) for planned in planned_rows(setup.plan) if has_own_file(planned)]
    return {f"{ARCHS}/{file.name}": file for file in files if file.is_file()}


def _data(setup: Setup, rows: Sequence[Figures]) -> dict[str, Any]:
    base, effects = ladder(setup, rows)
    return {
        "plan": setup.file.stem,
        "rows": [figures_to_dict(row) for row in rows],
        "ladder": {
            "base": base and base.name,
            "levers": [{"name": each.lever.name, "mAP": vars(each.mAP), "rank1": vars(each.rank1)} for each in effects],
        },
        "latency": _measured(setup),
    }


def _measured(setup: Setup) -> dict[str, Any]:
    """The latencies without those of rows that the plan no longer has (the latency step measures these too)."""
    data, names = latencies(setup.places), {slug(planned.name) for planned in planned_rows(setup.plan)}
    networks = {name: each for name, each in data.get("networks", {}).items() if name in names}
    return data and data | {"networks": networks}


def _draw(setup: Setup, rows: Sequence[Figures], path: Path) -> Path | None:
    main = [row for row in rows if not row.lever]
    dots = [CostDot(row.name, row.kind, row.mean("mAP"), row.spread("mAP"), row.flops, row.latency_ms) for row in main]
    return draw_costs(dots, path, latencies(setup.places).get("target", "latency"), alike(rows)) if dots else None

"""What is written of an experiment, and what of that is published: no image, no path of this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.pictures.costs import CostDot, draw_costs
from reid.errors import UserError
from reid.files import write_json, write_text
from search.folder import LOG, SUMMARY
from tools.jobs.paths import shown
from tools.jobs.proofs.rank_result import RANKING
from tools.jobs.results.plan.file import slug
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.plan.steps import RANKING as RANKING_STEP
from tools.jobs.results.plan.steps import ROW, SEARCH, SUPERNET, Step, plan_steps
from tools.jobs.results.states import is_done, latencies
from tools.jobs.results.written.block import to_markdown
from tools.jobs.results.written.effects import ladder
from tools.jobs.results.written.figures import Figures, SeedRun, figures_to_dict, read_figures
from tools.jobs.results.written.portable import portable
from tools.jobs.results.written.report import alike, write_results_report
from tools.jobs.results.written.tables import log_name, log_of, write_up

RESULTS, TABLE, PICTURE, LOGS = "results.json", "table.md", "front.png", "logs"


def write_results(setup: Setup, rows: Sequence[Figures]) -> Path:
    """Writes ``results.json``, ``table.md``, ``front.png`` and ``report.html`` of the finished rows; returns the path
    of the second."""
    out = setup.places.out
    write_json(out / RESULTS, _data(setup, rows))
    blocks = write_up(setup, rows, log_of)
    write_results_report(setup, rows, blocks, _draw(setup, rows, out / PICTURE))
    return write_text(out / TABLE, to_markdown(blocks))


def publish(setup: Setup, folder: Path) -> Path:
    """Writes the same into ``folder``, and under ``logs/`` what every finished step noted down: metrics of trainings,
    candidates of searches. Archs go to ``archs/``. Paths of this machine are cut to their last part. The page is left
    out: it leads to the runs' own, which stay where they are. Returns the table's path.

    Raises:
        UserError: ``folder`` is the plan's own, or no row is finished.
    """
    if folder.resolve() == setup.places.out.resolve():
        raise UserError(f"--publish {shown(folder)}: is where the plan itself writes; give another folder")
    rows = read_figures(setup)
    if not rows:
        raise UserError("no row is finished: there is nothing to publish")

    def log(row: Figures, seed: SeedRun) -> str:
        return f"{LOGS}/{log_name(row, seed)}"

    data = json.loads(portable(json.dumps(_data(setup, rows))))
    logs = {(row.name, seed.seed): log(row, seed) for row in rows for seed in row.seeds}
    for row in data["rows"]:
        for seed in row["seeds"]:
            del seed["run"]
            seed["log"] = logs[row["name"], seed["seed"]]
    write_json(folder / RESULTS, data)
    _draw(setup, rows, folder / PICTURE)
    for row in rows:
        for seed in row.seeds:
            _copy(Path(seed.run) / "metrics.jsonl", folder / log(row, seed))
    for step in plan_steps(setup.plan):
        if step.kind != ROW and is_done(setup.places, step):
            _copy_step(setup, step, folder / LOGS)
    for file in sorted((setup.places.out / "archs").glob("*.yaml")):
        _copy(file, folder / "archs" / file.name)
    return write_text(folder / TABLE, portable(to_markdown(write_up(setup, rows, log, linked=True))))


def _copy_step(setup: Setup, step: Step, folder: Path) -> None:
    files = {SUPERNET: ("metrics.jsonl",), SEARCH: (SUMMARY, LOG), RANKING_STEP: (RANKING,)}.get(step.kind, ())
    run = setup.places.run(step)
    for name in files:
        _copy(run / name, folder / f"{slug(step.kind)}-{run.name}.{name}")


def _copy(source: Path, target: Path) -> None:
    write_text(target, portable(source.read_text(encoding="utf-8")))


def _data(setup: Setup, rows: Sequence[Figures]) -> dict[str, Any]:
    base, effects = ladder(setup, rows)
    return {
        "plan": setup.file.stem,
        "rows": [figures_to_dict(row) for row in rows],
        "ladder": {
            "base": base and base.name,
            "levers": [{"name": each.lever.name, "mAP": vars(each.mAP), "rank1": vars(each.rank1)} for each in effects],
        },
        "latency": latencies(setup.places),
    }


def _draw(setup: Setup, rows: Sequence[Figures], path: Path) -> Path | None:
    main = [row for row in rows if not row.lever]
    dots = [CostDot(row.name, row.kind, row.mean("mAP"), row.spread("mAP"), row.flops, row.latency_ms) for row in main]
    return draw_costs(dots, path, latencies(setup.places).get("target", "latency"), alike(rows)) if dots else None

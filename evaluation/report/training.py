"""The page of one run: its result, its recipe, and the course of its training."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from evaluation.comparison.row import REMAKE_SCORE, RESULT, SCORE, ResultRow, read_result
from evaluation.comparison.table import compare
from evaluation.pictures.curves import draw_curves
from evaluation.report.doctor import doctor_lines, doctor_summary, doctor_table
from evaluation.report.history import History, best_score, read_histories, training_folders
from evaluation.report.html import REPORT, Picture, Section, write_report
from evaluation.retrieval.scores import SCORE_WORDS
from evaluation.tables import Table
from reid.engine.runs.run_folder import CONFIG
from reid.errors import UserError
from reid.files import expecting, read_mapping

CURVES = "curves.png"
CAPTION = (
    "Losses: the total is weighted, its parts are not. Hardest pairs: green where the nearest negative is farther than "
    "the farthest positive. Spread: 1 where features point in all directions alike, 0 where they are one vector."
)


def write_training_report(run: Path, made_by: str = "", trained_on: str = "") -> Path:
    """Writes ``report.html`` and ``curves.png`` into a run folder and returns the page's path.

    The page has the result (if the run is scored), the curves, the doctor's findings, the command and the
    configuration. The folder of a repeated training (``seed-*`` in it) gets one page for all of its seeds.

    Args:
        made_by, trained_on: command and data, for a run without a score, whose files do not hold them: a supernet, or
            a network trained on data without a test set.

    Raises:
        UserError: nothing was trained in ``run``, or a file in it is damaged.
    """
    run = Path(run)
    histories = read_histories(run)
    if not histories:
        raise UserError(f"run folder {run} has no training to report: there is no epoch in its metrics.jsonl")
    row = read_result(run) if (run / RESULT).exists() else None
    sections = [_result(run, row)] if row else []
    if trained_on and not row:
        sections.append(Section("Data", (f"Trained on {trained_on}.",)))
    sections.append(training_section("Training", histories, run / CURVES))
    for heading, text in (("Command", command_of(run) or made_by), ("Recipe and configuration", config_of(run))):
        if text:
            sections.append(Section(heading, code=text))
    name = row.name if row else run.resolve().name
    return write_report(run / REPORT, f"Training of {name}", _summary(row, histories), sections)


def training_section(heading: str, histories: Sequence[History], picture: Path, drawn: Sequence[Path] = ()) -> Section:
    """The doctor's findings and the curves, which are drawn into ``picture``; see ``draw_curves``."""
    curves = draw_curves([history.records for history in histories], picture, drawn)
    caption = CAPTION + (" One line for each seed." if len(histories) > 1 else "")
    return Section(
        heading,
        tuple(doctor_lines(histories)),
        words=doctor_table(histories),
        pictures=(Picture(curves, caption),),
    )


def command_of(run: Path) -> str:
    """The command that made a run, and the commit it was run at."""
    score = training_folders(run)[0] / SCORE
    if not score.exists():
        return ""
    about = read_mapping(score, REMAKE_SCORE)
    commit = about.get("commit")
    return str(about.get("command", "")) + (f"\n# at commit {commit}" if commit else "")


def config_of(run: Path) -> str:
    """The resolved configuration of a run; of a repeated one that of its first seed."""
    config = training_folders(run)[0] / CONFIG
    if not config.exists():
        return ""
    with expecting(config):
        return config.read_text(encoding="utf-8").rstrip()


def _result(run: Path, row: ResultRow) -> Section:
    height, width = row.input_size
    words = [f"Trained on {row.train_set}, at {height}x{width}."]
    if row.test_set:
        words.append(f"Tested on {row.test_set}.")
    if row.seeds:
        rows = [read_result(folder) for folder in training_folders(run) if (folder / RESULT).exists()]
        named = [dataclasses.replace(each, name=f"seed {each.seed}", notes=()) for each in rows]
        table = compare([dataclasses.replace(row, name="mean"), *named])
        table = dataclasses.replace(table, best=frozenset())  # the better seed is no winner
    else:
        table = _scores(run, row)
    return Section("Result", tuple(words), table=table)


def _scores(run: Path, row: ResultRow) -> Table:
    """The scores of ``score.json``, or the row's two if there is none. The network's cost is in the cards above."""
    path = run / SCORE
    scores = read_mapping(path, REMAKE_SCORE) if path.exists() else {"mAP": row.mAP, "rank1": row.rank1}
    known = {
        f"{word} %": f"{100 * scores[key]:.1f}"
        for key, word in SCORE_WORDS.items()
        if isinstance(scores.get(key), float)
    }
    return Table(("Name", *known), ((row.name, *known.values()),), frozenset(), row.notes)


def _summary(row: ResultRow | None, histories: Sequence[History]) -> list[tuple[str, str]]:
    cards = []
    if row:
        table = compare([row])
        shown = dict(zip(table.headers, table.cells[0], strict=True))
        cards += [
            ("mAP", f"{shown['mAP (step) %']} %"),
            ("Rank-1", f"{shown['Rank-1 %']} %"),
            ("FLOPs", f"{shown['FLOPs (M)']} M"),
            ("Parameters", f"{shown['Params (M)']} M"),
        ]
        if row.latency_ms is not None:
            cards.append(("One image on a CPU", f"{shown['ms/image']} ms"))
    epochs = max(history.records[-1]["epoch"] for history in histories)
    cards.append(("Epochs", f"{epochs}, {len(histories)} seeds" if len(histories) > 1 else str(epochs)))
    best = best_score(histories[0].records) if len(histories) == 1 else None
    if best:
        cards.append(("Best mAP held out", f"{100 * best[1]:.1f} %, epoch {best[2]}"))
    cards.append(("Doctor", doctor_summary(histories)))
    return cards

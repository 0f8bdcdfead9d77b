"""The page of a finished search: the chosen archs, the candidates, the front, the settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import yaml

from evaluation.pictures.architecture import box_words, draw_architecture
from evaluation.pictures.front import draw_search_front
from evaluation.pictures.search_progress import draw_search_progress
from evaluation.report.comparison import PICTURES
from evaluation.report.html import REPORT, Picture, Section, Words, write_report
from evaluation.tables import Table
from reid.config import config_to_dict
from search.config import limits_of
from search.flops_words import format_flops
from search.front import words_of
from search.history import Candidate
from search.limits.limits import describe, format_value
from search.result import SearchResult
from tools.jobs.job import Job
from tools.jobs.runs.provenance import made_by


def write_search_report(job: Job, result: SearchResult, strategy: str, opening: Sequence[tuple[str, str]]) -> Path:
    """Draws the search's pictures into its folder, writes ``report.html``, which embeds them, and returns its path.

    Args:
        opening: the lines announced at the start: data, supernet and doubts about it.
    """
    out = result.out
    rows = [dataclasses.asdict(each) for each in result.candidates]
    progress = draw_search_progress(rows, out / "search_progress.png")
    members = [each.trial for each in result.front]
    front = draw_search_front(rows, out / "search_front.png", result.costs, members)
    against = "cost" if len(result.costs) == 1 else words_of(result.costs)
    learnt = bool(job.experiment.search.learn_from)
    score = "predicted mAP" if learnt else "held-out mAP"
    words = (
        "Scores are predictions of each arch's stand-alone result, fitted to archs that were trained."
        if learnt
        else "Scores come from supernet weights on identities that were not trained on; the test set was not read."
    )
    scored = sum(each.score is not None for each in result.candidates)
    sections = [
        Section("Chosen archs", (words,), table=_chosen(result, score), pictures=_drawings(result, out)),
        Section(
            "The search",
            pictures=(
                Picture(progress, f"{scored} candidates with a score, of {len(rows)} tried."),
                Picture(front, f"{score} against {against}; the front has {len(members)} archs (front.json)."),
            ),
        ),
        *([_front_section(result, score)] if strategy == "pareto" else []),
        Section("Data, supernet, limits", words=Words(("", ""), tuple(opening))),
        Section("Command", code=made_by()),
        Section("Configuration", code=yaml.safe_dump(config_to_dict(job.experiment.search), sort_keys=False).rstrip()),
    ]
    cards = [
        _best(result, score),
        ("Limits", describe(limits_of(job.experiment.search))),
        ("Strategy", f"{strategy}, seed {job.seed}"),
        ("Candidates", str(len(rows))),
        ("Space", job.experiment.space),
    ]
    return write_report(out / REPORT, f"Search of {result.archs[0].stem}", cards, sections)


def _best(result: SearchResult, score: str) -> tuple[str, str]:
    """The card of the first arch. A finalist shows the score that chose it; another one's ``score`` may be higher."""
    name = result.archs[0].stem
    if result.finalists:
        return "Best finalist, held-out mAP", f"{100 * result.finalists[0].trained:.1f} %, {name}"
    return f"Best {score}", f"{100 * result.best[0].score:.1f} %, {name}"


def _chosen(result: SearchResult, score: str) -> Table:
    timed = any(each.latency_ms is not None for each in result.best)
    measured, trained = bool(result.measured_ms), bool(result.finalists)  # no measurement for another machine's target
    headers = ("arch", f"{score} (%)", "FLOPs", "params (M)")
    headers += ("latency",) if timed else ()
    headers += ("measured",) if measured else ()
    headers += ("trained (%)",) if trained else ()
    cells = []
    for index, (path, each) in enumerate(zip(result.archs, result.best, strict=True)):
        row = (path.stem, f"{100 * each.score:.1f}", format_flops(each.flops), f"{each.parameters / 1e6:.2f}")
        row += (_ms(each),) if timed else ()
        row += (format_value("latency_ms", result.measured_ms[index]),) if measured else ()
        row += (f"{100 * result.finalists[index].trained:.1f}",) if trained else ()
        cells.append(row)
    return Table(headers, tuple(cells), frozenset(), result.notes)


def _front_section(result: SearchResult, score: str) -> Section:
    """All members of the front with their costs, in the order of ``front.json``; ``score`` names their score."""
    names = {each.trial: path.stem for path, each in zip(result.archs, result.best, strict=True)}
    timed = any(each.latency_ms is not None for each in result.front)
    cells = []
    for each in result.front:
        row = (str(each.trial), f"{100 * each.score:.1f}", format_flops(each.flops), f"{each.parameters / 1e6:.3f}")
        cells.append((*row, *((_ms(each),) if timed else ()), names.get(each.trial, "")))
    headers = ("trial", f"{score} (%)", "FLOPs", "params (M)", *(("latency",) if timed else ()), "chosen as")
    words = (
        f"No candidate is better than one of these by the score or by {words_of(result.costs)}, and no worse by any."
    )
    return Section("The front", (words,), table=Table(headers, tuple(cells), frozenset(), ()))


def _ms(candidate: Candidate) -> str:
    return "-" if candidate.latency_ms is None else format_value("latency_ms", candidate.latency_ms)


def _drawings(result: SearchResult, out: Path) -> tuple[Picture, ...]:
    legend = "Height of a box: square root of its channels. Colour: kernel. In it: "
    return tuple(
        Picture(
            draw_architecture(each.arch, out / PICTURES / f"{path.stem}.png", path.stem),
            f"{path.stem}. {legend}{box_words(each.arch)}.",
        )
        for path, each in zip(result.archs, result.best, strict=True)
    )

"""The job of ``tools/compare.py``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from evaluation.comparison.printed import comparison_table, markdown_table
from evaluation.comparison.row import ResultRow, read_result
from evaluation.comparison.spreadsheet import csv_table
from evaluation.report.comparison import write_comparison_report
from evaluation.report.history import training_folders
from evaluation.report.html import REPORT
from evaluation.report.training import command_of
from reid.engine.runs.checkpoint import read_about
from reid.engine.runs.run_folder import CONFIG, WEIGHTS
from reid.errors import UserError
from reid.files import read_mapping, write_text
from search.folder import LOG, SUMMARY, chosen_files
from search.history import read_candidates
from search.latency import measure_latency
from supernet.catalog import build, spec_from_dict
from supernet.files import NamedArch, load_arch
from tools.jobs.paths import check_once, shown
from tools.jobs.runs.data import with_effect
from tools.jobs.runs.ownership import alone_in, check_owner
from tools.jobs.runs.saved_config import read_saved
from tools.jobs.words.recipes import saved_recipe_name

TABLE, CSV = "table.md", "table.csv"


def compare(runs: Sequence[Path], search: Path | None, out: Path, measure: bool = True) -> Path:
    """Prints the table of ``runs`` and writes it into ``out`` as a report page, as Markdown and as CSV; returns the
    page's path.

    Raises:
        UserError: a run is given twice or has no result yet, ``search`` is not a search, or ``out`` holds another
            tool's run.
    """
    check_once(runs, "name each run only once")
    with alone_in(out):
        return _compare(runs, search, out, measure)


def _compare(runs: Sequence[Path], search: Path | None, out: Path, measure: bool) -> Path:
    check_owner(out)
    candidates, arch = _search_results(search)
    configs = [_config(run) for run in runs]
    rows = [_with_recipe(read_result(run), config) for run, config in zip(runs, configs, strict=True)]
    if measure:
        rows = _with_fresh_latency(rows, runs)
    page = write_comparison_report(
        out / REPORT,
        rows,
        candidates=candidates,
        arch=arch,
        commands=_commands(runs),
        configs=[config and with_effect(config) for config in configs],
        runs=runs,
    )
    write_text(out / TABLE, markdown_table(rows) + "\n")
    write_text(out / CSV, csv_table(rows))
    print(comparison_table(rows))
    return Path(shown(page))


def _config(run: Path) -> dict[str, Any] | None:
    """The resolved configuration of a run, or of a repeated run's first seed; ``None`` if nothing was trained."""
    path = training_folders(run)[0] / CONFIG
    if not path.exists():
        return None
    try:
        return read_saved(path)  # settings added later get their defaults, and so are no difference
    except UserError:
        return read_mapping(path)  # written by another version of the code: unchanged


def _with_recipe(row: ResultRow, config: Mapping[str, Any] | None) -> ResultRow:
    """Fills in a missing recipe, for rows of earlier versions, from the run's configuration."""
    return row if row.recipe else dataclasses.replace(row, recipe=saved_recipe_name(config))


def _with_fresh_latency(rows: list[ResultRow], runs: Sequence[Path]) -> list[ResultRow]:
    """The rows with latencies measured now, on one thread, all networks in turn. Runs without weights get none, since
    times of another session are not comparable."""
    weights = [training_folders(run)[0] / WEIGHTS for run in runs]  # all seeds share a network
    found = [index for index, path in enumerate(weights) if path.exists()]
    specs = [spec_from_dict(read_about(weights[index])) for index in found]
    # Latency does not depend on the weights, so fresh ones serve.
    networks = [(build(spec), spec.input_size) for spec in tqdm(specs, desc="latency", unit="network")]
    rows = [dataclasses.replace(row, latency_ms=None) for row in rows]
    for index, latency in zip(found, measure_latency(networks, torch.device("cpu")), strict=True):
        rows[index] = dataclasses.replace(rows[index], latency_ms=latency)
    return rows


def _search_results(search: Path | None) -> tuple[list[dict] | None, NamedArch | None]:
    if search is None:
        return None, None
    if not (search / SUMMARY).is_file():
        raise UserError(
            f"--search {shown(search)}: there is no search in it; name the folder of a search, or leave it out"
        )
    candidates = [dataclasses.asdict(candidate) for candidate in read_candidates(search / LOG)]
    files = chosen_files(search)
    return candidates, load_arch(files[0]) if files else None


def _commands(runs: Sequence[Path]) -> list[str]:
    """The commands that made the runs, without repetition: one pipeline makes several."""
    return list(dict.fromkeys(command for run in runs if (command := command_of(run))))

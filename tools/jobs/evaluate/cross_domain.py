"""The job of ``tools/cross_domain.py``."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.cross_domain import Cell, Matrix, Row, matrix_markdown, matrix_table
from evaluation.protocols import Protocol
from evaluation.report.cross_domain import write_matrix_report
from evaluation.report.html import REPORT
from reid.engine.machine.device import describe_device
from reid.errors import UserError
from reid.files import write_json, write_text
from reid.words import counted
from supernet.trained import network_file
from supernet.trained.checkpoint import load_network
from tools.jobs.evaluate.columns import Column, column_of
from tools.jobs.evaluate.datasets import check_tested, open_test_sets
from tools.jobs.evaluate.known_training import train_set_of
from tools.jobs.evaluate.result import Wanted, measure
from tools.jobs.evaluate.subject import Subject, network_subject, onnx_subject
from tools.jobs.job import Job
from tools.jobs.paths import check_once, shown
from tools.jobs.runs.data import known_data, trained_on
from tools.jobs.runs.exported import exported_from
from tools.jobs.runs.ownership import MATRIX, REPLACE, alone, check_free
from tools.jobs.runs.provenance import command, commit, made_by
from tools.jobs.words.opening import announce


@dataclass(frozen=True, eq=False)
class Entry:
    """A network of the matrix.

    Attributes:
        name: of its row.
        train_set: its training data in words.
        subject: ``None`` if it could not be opened, for ``reason``.
        path: its weights; for an ``.onnx`` file, those that it was exported from, if known.
    """

    name: str
    train_set: str
    subject: Subject | None
    reason: str = ""
    path: Path | None = None


@alone
def cross_domain(job: Job, runs: Sequence[Path], datasets: Sequence[str], protocol: Protocol) -> Path:
    """Evaluates each run's network on each data set and prints the matrix. Writes ``matrix.json``, ``matrix.md`` and
    ``report.html`` into ``job.out`` and returns the path of ``matrix.md``.

    Unavailable data sets, and networks on persons that they were trained on, are left out with a note. A data set that
    a network was trained on is read as in its training. Features are cached: a second call, or one with more runs,
    computes only new ones. With ``job.resume``, an earlier call's matrix is replaced.

    Raises:
        UserError: a data set's name is unknown, a data set or network is given twice, networks were trained on
            different divisions of one, there is a matrix already, or nothing could be evaluated.
    """
    if len(set(datasets)) < len(datasets):
        raise UserError("--datasets: name each data set only once")
    check_once(runs, "name each network only once")
    if job.data is not None and all("=" in name for name in datasets):
        raise UserError(f"--data {job.data}: each of the --datasets has a folder of its own; leave it out")
    check_free(job.out, MATRIX, job.resume, REPLACE)
    for name in datasets:
        column_of(name, job, ())  # report an unknown name before anything else
    protocol = dataclasses.replace(protocol, verification=False)
    announce(
        f"{counted(len(runs), 'network')} on {counted(len(datasets), 'data set')}, in {shown(job.out)}",
        [("runs", ", ".join(map(shown, runs))), ("data", ", ".join(datasets)), ("device", describe_device(job.device))],
    )
    entries = [_entry(job, run, name, protocol) for run, name in zip(runs, row_names(runs), strict=True)]
    known = [(entry.name, known_data(entry.path)) for entry in entries if entry.path]
    columns = {name: column_of(name, job, [each for each in known if each[1]]) for name in datasets}
    rules: dict[str, tuple[str, ...]] = dict.fromkeys(datasets, ())
    rows = []
    for entry in entries:
        cells = []
        for name in datasets:
            cell, found = _cell(job, entry, columns[name], protocol)
            cells.append(cell)
            rules[name] = rules[name] or found
        rows.append(Row(entry.name, entry.train_set, tuple(cells)))
    if all(cell.score is None for row in rows for cell in row.cells):
        raise UserError(f"nothing could be evaluated; {rows[0].name}: {rows[0].cells[0].reason}")
    matrix = Matrix(_columns(datasets), tuple(rows), tuple(rules.values()))
    print(matrix_table(matrix))
    write_matrix_report(job.out / REPORT, matrix, made_by())
    text = write_text(job.out / "matrix.md", matrix_markdown(matrix) + "\n")
    # Written last: if it exists, so do all other files.
    write_json(job.out / MATRIX, {**matrix.as_dict(), "command": command(), "commit": commit()})
    return Path(shown(text))


def row_names(runs: Sequence[Path]) -> list[str]:
    """The folders' names; the whole path if another run has the same name (seeds, or files of one folder)."""
    whole = [Path(os.path.abspath(run)) if run.exists() else run for run in runs]  # "." alone has no name
    names = [run.parent.name if run.suffix == ".safetensors" and not run.is_dir() else run.name for run in whole]
    return [shown(run) if names.count(name) > 1 else name for run, name in zip(runs, names, strict=True)]


def _entry(job: Job, run: Path, name: str, protocol: Protocol) -> Entry:
    train_set = "not told"
    try:
        path = network_file(run)
        train_set = train_set_of(path)
        if path.suffix == ".onnx":
            subject = onnx_subject(path, job.device, job.experiment.input_size, protocol)
            weights = exported_from(path, subject.about.get("exported_from_sha256"))
            return Entry(name, train_set, subject, path=weights)
        network, spec = load_network(path, job.device)
        return Entry(name, train_set, network_subject(network, spec, job.device), path=path)
    except UserError as error:
        return Entry(name, train_set, None, str(error))


def _cell(job: Job, entry: Entry, column: Column, protocol: Protocol) -> tuple[Cell, tuple[str, ...]]:
    if entry.subject is None:
        return Cell(None, entry.reason), ()
    try:
        trained = trained_on(entry.path) if entry.path else None
        sources = open_test_sets(None, None, column.data, job.data, entry.subject.input_size, trained)
        if entry.path:
            check_tested(entry.path.parent, sources)
        evaluation, _ = measure(entry.subject, sources, Wanted(protocol))
    except UserError as error:
        return Cell(None, str(error)), ()
    rule = column.rule or sources[0].world
    return Cell(evaluation.score, reranked=evaluation.reranked), (*evaluation.rules, *([rule] if rule else []))


def _columns(datasets: Sequence[str]) -> tuple[str, ...]:
    """Names without folders, if they are still distinct."""
    names = tuple(name.partition("=")[0] for name in datasets)
    return names if len(set(names)) == len(names) else tuple(datasets)

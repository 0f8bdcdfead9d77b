"""The progress of a step, read from the files that its tool wrote."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.comparison.row import RESULT, SCORE
from reid.engine.guard.guard import STATE as STATE_OF_TRAINING
from reid.engine.partway import PARTWAY
from reid.engine.runs.run_folder import CONFIG, WEIGHTS, read_metrics
from reid.errors import UserError
from reid.files import expecting, read_mapping, write_json
from reid.words import counted
from search.folder import LOG, SUMMARY, search_is_finished
from search.latency import parse_target
from supernet.trained import checkpoint
from tools.jobs.proofs import rank_result
from tools.jobs.results.made_of import is_of_network, is_of_weights
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.plan.steps import LATENCY, RANKING, ROW, SEARCH, SUPERNET, Places, Step
from tools.jobs.training.finished import is_finished
from tools.jobs.words.opening import format_time

STATE, TIMES = "state.json", "latency.json"

_SAVED = (STATE_OF_TRAINING, PARTWAY, WEIGHTS, checkpoint.SUPERNET, LOG, RESULT)
"""Files that appear or grow as a training, a search or a ranking's trainings progress."""

AGAIN = "remove it and give the command again"
"""The cure for a damaged file that the step or the table rewrites when it is missing."""

ONNX = ("onnx", "onnxruntime")
"""Packages needed to measure latency on an onnx target."""


@dataclass(frozen=True)
class Record:
    """What is recorded about a step's runs.

    Attributes:
        seconds: total run time over all slices, without runs that were killed.
        slices: number of times it was started or resumed.
        failed: whether its last run ended with an error.
    """

    seconds: float = 0.0
    slices: int = 0
    failed: bool = False


def read_record(folder: Path) -> Record:
    """The record in a step's folder; an empty one if there is none yet."""
    path = folder / STATE
    if not path.is_file():
        return Record()
    cure = "remove it: only how long the step has run is lost"
    with expecting(path, cure):
        return Record(**read_mapping(path, cure))


def write_record(folder: Path, record: Record) -> Path:
    """Writes the record, atomically."""
    return write_json(folder / STATE, dict(record.__dict__))


def is_done(places: Places, step: Step) -> bool:
    """Whether the step's results are complete. A row needs the flip test of its current weights too, the latency step
    the times of every trained network on the plan's target."""
    run = places.run(step)
    if step.kind == SUPERNET:
        return (run / checkpoint.SUPERNET).is_file()
    if step.kind == SEARCH:
        return search_is_finished(run)
    if step.kind == ROW:
        return is_trained(places, step) and _is_flipped(places, step)
    if step.kind == RANKING:
        return (run / rank_result.RANKING).is_file()
    measured = latencies(places)
    target = parse_target(step.part.target).name
    same = measured.get("target", target) == target
    return same and set(trained_networks(places)) == set(measured.get("networks", {}))


def is_trained(places: Places, step: Step) -> bool:
    """Whether a row's network has been trained and scored."""
    return is_finished(places.run(step))


def _is_flipped(places: Places, step: Step) -> bool:
    path = places.flip(step) / SCORE
    return path.is_file() and is_of_weights(read_mapping(path, AGAIN), path, places.run(step), AGAIN)


def is_begun(places: Places, step: Step) -> bool:
    """Whether the step's tool must be called with ``--resume``."""
    run = places.run(step)
    return (run / (SUMMARY if step.kind == SEARCH else CONFIG)).is_file()


def trained_networks(places: Places) -> dict[str, Path]:
    """Run folders of finished trainings by row name; for a row with several seeds, the first in sorting order."""
    found: dict[str, Path] = {}
    for run in sorted((places.out / "rows").glob("*-s*")):
        if is_finished(run):
            found.setdefault(run.name.rpartition("-s")[0], run)
    return found


def latencies(places: Places) -> dict[str, Any]:
    """What the latency step wrote, without networks that have been replaced since; empty if it has not run."""
    path = places.run(Step(LATENCY, LATENCY)) / TIMES
    if not path.is_file():
        return {}
    data = read_mapping(path, AGAIN)
    with expecting(path, AGAIN):
        networks = dict(data.get("networks", {}))
        for each in networks.values():
            float(each["ms"]), list(each["input_size"])
        data.get("machine", {}).items()
    for name, run in trained_networks(places).items():
        if name in networks and not is_of_network(networks[name], path, run):
            del networks[name]
    return data | {"networks": networks}


def saved(places: Places, step: Step) -> frozenset[tuple[Path, int]]:
    """The files from which a step can resume, or that it ended with, each with its modification time."""
    folders = [places.run(step), *([places.flip(step)] if step.kind == ROW else [])]
    found = [path for folder in folders for path in folder.rglob("*") if path.name in _SAVED]
    return frozenset((path, path.stat().st_mtime_ns) for path in found)


def missing_packages(setup: Setup, step: Step) -> str | None:
    """Why the step cannot run on this machine, if it cannot; raises UserError if a search's settings are wrong."""
    needed, target = (), None
    if step.kind == LATENCY:
        target = step.part.target
    if step.kind == SEARCH:  # its own target, the plan's or the config's
        needed, target = ("nni",), setup.experiment(step).search.target
    if (target or "").startswith("onnx-"):
        needed += ONNX
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    return f"needs {' and '.join(missing)}: run it elsewhere" if missing else None


def progress(places: Places, step: Step) -> str:
    """The progress in words, such as ``34 epochs, 2 min so far``."""
    run, record = places.run(step), read_record(places.record(step))
    parts = []
    if step.kind in (SUPERNET, ROW):
        try:
            epochs = len(read_metrics(run))
        except UserError:
            epochs = 0
        parts += [counted(epochs, "epoch")] * bool(epochs)
    if step.kind == SEARCH and (run / LOG).is_file():
        parts.append(counted(sum(1 for _ in (run / LOG).open()), "candidate"))
    if record.slices:
        parts.append(f"{format_time(record.seconds)} so far")
    return ", ".join(parts)

"""The history of a training, read from its run folder: the records of every epoch and the doctor's findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reid.config import build_config
from reid.engine.doctor import Diagnosis
from reid.engine.runs.journal import DOCTOR
from reid.engine.runs.run_folder import read_metrics
from reid.errors import UserError
from reid.files import read_json


@dataclass(frozen=True, eq=False)
class History:
    """One training.

    Attributes:
        label: distinguishes it from the others of its run; empty if it is the only one.
        records: the lines of ``metrics.jsonl``.
        diagnoses: the doctor's, or None if it was not run.
    """

    label: str
    records: list[dict[str, Any]]
    diagnoses: tuple[Diagnosis, ...] | None


def training_folders(run: Path) -> list[Path]:
    """The ``seed-<n>`` folders of a repeated training, by number; of any other run the folder itself."""
    seeds = {
        int(folder.name.removeprefix("seed-")): folder
        for folder in Path(run).glob("seed-*")
        if folder.is_dir() and folder.name.removeprefix("seed-").isdecimal()
    }
    return [seeds[seed] for seed in sorted(seeds)] or [Path(run)]


def read_histories(run: Path) -> tuple[History, ...]:
    """The trainings of a run folder; none where nothing was trained in it, as in that of an evaluation.

    Raises:
        UserError: a ``metrics.jsonl`` or a ``doctor.json`` is damaged.
    """
    folders = training_folders(run)
    return tuple(
        History(folder.name.replace("-", " ") if folder != Path(run) else "", records, read_diagnoses(folder))
        for folder in folders
        if (records := read_metrics(folder))
    )


def read_diagnoses(run: Path) -> tuple[Diagnosis, ...] | None:
    """The findings that the training loop wrote into ``doctor.json``, or None if there is no such file.

    Raises:
        UserError: the file is damaged.
    """
    path = Path(run) / DOCTOR
    if not path.exists():
        return None
    found = read_json(path, "remove it")
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise UserError(f"file {path} does not contain findings of the doctor; remove it")
    return tuple(build_config(Diagnosis, each, str(path)) for each in found)


def best_score(records: Sequence[dict[str, Any]]) -> tuple[str, float, int] | None:
    """Field, value and epoch of the best mAP on held-out identities that was seen while training."""
    seen = [
        (record[name], -record["epoch"], name)
        for record in records
        for name in ("holdout_mAP", "largest_mAP")
        if name in record
    ]
    if not seen:
        return None
    value, epoch, name = max(seen)
    return name, value, -epoch

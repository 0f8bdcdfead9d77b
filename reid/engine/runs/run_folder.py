"""A run's folder: its resolved configuration, ``metrics.jsonl``, TensorBoard events, checkpoints and results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from reid.errors import UserError
from reid.files import append_line, is_leftover, read_mapping, write_text

CONFIG, METRICS = "config.yaml", "metrics.jsonl"

WEIGHTS = "last.safetensors"
"""File name of a run's network: its weights, with the network's spec in the header."""


def open_run(
    path: Path,
    config: dict[str, Any],
    resume: bool,
    read: Callable[[Path], dict[str, Any]] = read_mapping,
) -> Path:
    """Creates the folder of a new run, or checks that an existing one can be resumed; returns ``path``.

    Args:
        read: reads the configuration that a run was started with; may set newer options to their defaults.

    Raises:
        UserError: there is a run and ``resume`` is false, it was started with another configuration, or the folder
            holds something else.
    """
    saved = path / CONFIG
    if not saved.exists():
        if path.exists() and (not path.is_dir() or not all(is_leftover(entry, saved) for entry in path.iterdir())):
            raise UserError(f"{path} is not empty and contains no run; give another folder with --out")
        write_text(saved, yaml.safe_dump(config, sort_keys=False))
        return path
    if not resume:
        raise taken(path)
    # Compared in YAML's form, in which tuples and lists are the same.
    wanted = yaml.safe_load(yaml.safe_dump(config, sort_keys=False))
    difference = first_difference(read(saved), wanted)
    if difference:
        raise UserError(
            f"{path} was started with another configuration ({difference}); resume with the same one, or give another "
            "--out"
        )
    return path


def taken(path: Path | str, what: str = "a run", cure: str = "go on with --resume") -> UserError:
    """The error for a run folder that an earlier run occupies: existing files are never replaced without being asked.

    Args:
        what: what is there.
        cure: what the user can do.
    """
    return UserError(f"{path} already holds {what}; {cure}, or give another folder with --out")


def first_difference(old: Any, new: Any, name: str = "") -> str | None:
    """The first difference of two mappings, as ``"recipe.epochs: 10 then, 20 now"``, or ``None``."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            found = first_difference(old.get(key), new.get(key), f"{name}.{key}" if name else str(key))
            if found:
                return found
        return None
    return None if old == new else f"{name}: {old} then, {new} now"


def append_metrics(path: Path, record: dict[str, Any]) -> None:
    """Adds a line to the ``metrics.jsonl`` of the run at ``path``."""
    append_line(path / METRICS, json.dumps(record))


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a run's ``metrics.jsonl``; an incomplete last line (the machine died) is left out.

    Raises:
        UserError: another line is damaged.
    """
    file = path / METRICS
    lines = file.read_bytes().splitlines() if file.exists() else []
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            if not isinstance(record, dict) or not isinstance(record.get("epoch"), int):
                raise ValueError("it is not a mapping with an epoch")
        except ValueError as error:  # of JSON or of UTF-8
            if number == len(lines):
                break
            cure = "restore it, or train into another --out"
            raise UserError(f"{file}: line {number} is damaged ({error}); {cure}") from None
        records.append(record)
    return records


def keep_metrics_until(path: Path, epoch: int) -> None:
    """Drops the lines of epochs after ``epoch``, which a resumed run will write again.

    Raises:
        UserError: a line is damaged (``read_metrics``); the file is not changed.
    """
    kept = [record for record in read_metrics(path) if record["epoch"] <= epoch]
    if (path / METRICS).exists():
        write_text(path / METRICS, "".join(json.dumps(record) + "\n" for record in kept))

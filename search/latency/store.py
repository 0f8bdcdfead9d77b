"""The file of measured times, so that nothing is measured twice and an interrupted measurement can continue."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reid.errors import UserError
from reid.files import read_json, write_json
from search.latency.machine import describe_machine, difference
from search.latency.targets import Target
from supernet.arch import Arch
from supernet.files import arch_from_dict, arch_to_dict
from supernet.space import Space

FORM = 1
"""Number of the file's form; files of another are measured again."""

DIGITS = 6
"""Decimal places of a time in ms; ``round`` leaves infinity unchanged."""


@dataclass
class Measured:
    """The least ms of a call, and the rounds that it is the least of."""

    least_ms: float
    rounds: int

    def take(self, ms: float) -> None:
        """Adds the ms of another round."""
        self.least_ms, self.rounds = min(self.least_ms, ms), self.rounds + 1


@dataclass
class Store:
    """Times of parts and of whole networks on one target and machine, by ``name_of``.

    Attributes:
        path: the file; see ``store_path``.
        about: target and machine.
        times: in the order in which they were measured.
        note: a line for the user if times in the file could not be used, else empty.
    """

    path: Path
    about: dict[str, Any]
    times: dict[str, Measured] = field(default_factory=dict)
    note: str = ""

    def least_ms(self, name: str) -> float:
        """The least ms of what is called ``name``, as the file has it: so that a table is the same whether its times
        were read or just measured."""
        return round(self.times[name].least_ms, DIGITS)

    def save(self, extra: Mapping[str, Any]) -> None:
        """Writes the file, atomically; ``extra`` is for the reader and not read back."""
        write_json(self.path, {"form": FORM, **self.about, **extra, "times": self._rows()})

    def is_other(self) -> bool:
        """Whether the file holds times that can be read, and they are not these."""
        try:
            return read_json(self.path)["times"] != self._rows()
        except (UserError, KeyError, TypeError):
            return False

    def _rows(self) -> dict[str, list[float | int]]:
        return {name: [self.least_ms(name), each.rounds] for name, each in self.times.items()}


def name_of(what: tuple | Arch) -> str:
    """The name of a part or a whole network in the file."""
    return json.dumps(arch_to_dict(what) if isinstance(what, Arch) else what)


def arch_of(name: str) -> Arch:
    """The whole network of that name; raises ValueError where it is of none."""
    try:
        return arch_from_dict(json.loads(name))
    except UserError as error:
        raise ValueError(error) from None


def store_path(folder: Path, space: Space, target_name: str) -> Path:
    """The file under ``folder`` for archs of ``space``, at its input size, on a target."""
    height, width = space.input_size
    return folder / f"{space.name}-{height}x{width}-{target_name}.json"


def read_measured(rows: Mapping[str, Sequence[float]]) -> dict[str, Measured]:
    """The times in a store's file; raises ValueError, TypeError or AttributeError if they are malformed."""
    for ms, rounds in rows.values():
        if not (0 <= ms < math.inf and 0 <= rounds < math.inf):  # nor NaN
            raise ValueError(f"a time of {ms} ms in {rounds} rounds")
    return {name: Measured(float(ms), int(rounds)) for name, (ms, rounds) in rows.items()}


def open_store(path: Path, target: Target) -> Store:
    """The times in the file; none if there is no file, or if it is damaged or from another machine."""
    about = {"target": target.name, "machine": describe_machine(target)}
    if not path.exists():
        return Store(path, about)
    try:
        data = read_json(path)
        if data["form"] != FORM or data["target"] != target.name:
            raise ValueError("it has another form or target")
        times = read_measured(data["times"])
        other = difference(dict(data["machine"]), about["machine"])
    except (UserError, KeyError, TypeError, ValueError, AttributeError) as error:
        return Store(path, about, note=f"latency table {path} cannot be used ({error}); it is measured again")
    if other:
        return Store(path, about, note=f"latency table {path} is of another machine ({other}); it is measured again")
    return Store(path, about, times)

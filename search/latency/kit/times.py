"""Times written by a kit's program, read and checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reid.errors import UserError
from reid.files import read_json
from search.latency.kit.measure import FORM
from search.latency.store import Measured, arch_of
from search.latency.targets import parse_target
from supernet.arch import Arch


@dataclass(frozen=True)
class Times:
    """The measurements of another machine.

    Attributes:
        space, input_size, target: of the kit.
        machine: the program's description of it.
        clock: the function of Python's ``time`` that was used.
        times: of parts and whole networks, by ``search.latency.store.name_of``.
        fitted, checked: whole networks on which predictions are fitted and checked.
    """

    space: str
    input_size: tuple[int, int]
    target: str
    machine: dict[str, str]
    clock: str
    times: dict[str, Measured]
    fitted: tuple[Arch, ...]
    checked: tuple[Arch, ...]

    @property
    def rounds(self) -> int:
        """The smallest number of rounds behind any of the times."""
        return min(each.rounds for each in self.times.values())


def read_times(path: Path) -> Times:
    """The ``times.json`` of a kit, checked against the kit's manifest, which it contains.

    Raises:
        UserError: it is missing, damaged or unfinished.
    """
    data = read_json(path, "copy times.json again, or measure again")
    try:
        if data["form"] != FORM or data["kit"]["form"] != FORM:
            raise UserError(
                f"{path} is of a kit in another format; make a kit with this version, and measure with that"
            )
        if data["finished"] is not True:
            raise UserError(f"{path} is not finished; run python3 measure.py again on the machine that it is from")
        return _checked(path, data, data["kit"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else error
        raise UserError(
            f"{path} does not contain the times of a kit ({what}); copy times.json again, or measure again"
        ) from None


def _checked(path: Path, data: dict[str, Any], kit: dict[str, Any]) -> Times:
    measured = {}
    for name, (ms, rounds) in data["times"].items():
        if not (0 < ms < math.inf and 1 <= rounds < math.inf):  # nor NaN
            raise ValueError(f"it has a time of {ms} ms in {rounds} rounds")
        measured[name] = (float(ms), int(rounds))
    if unknown := measured.keys() - kit["files"].keys():
        raise ValueError(f"{len(unknown)} times of networks that are not in its kit")
    files = {**kit["parts"], **kit["networks"]}
    if missing := set(files.values()) - measured.keys():
        raise ValueError(f"{len(missing)} of {len(kit['files'])} networks have no time")
    if strange := [name for name in (*kit["fitted"], *kit["checked"]) if name not in kit["networks"]]:
        raise ValueError(f"whole network {strange[0]} is not in its kit")
    if not kit["fitted"] or not kit["checked"]:
        raise ValueError("it has no whole networks")
    height, width = kit["input_size"]
    machine = {str(key): str(value) for key, value in data["machine"].items()}
    return Times(
        str(kit["space"]),
        (int(height), int(width)),
        parse_target(kit["target"]).name,
        {"processor": machine["processor"], "onnxruntime": machine["onnxruntime"], **machine},
        str(data["clock"]),
        {name: Measured(*measured[digest]) for name, digest in files.items()},
        tuple(map(arch_of, kit["fitted"])),
        tuple(map(arch_of, kit["checked"])),
    )

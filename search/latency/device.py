"""Another machine as a latency target: what it is called, and what it said of itself when it measured a kit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from reid.errors import UserError
from search.latency.targets import is_local
from supernet.arch import Arch

_NAME = re.compile(r"[a-z0-9][a-z0-9_.]*(-[a-z0-9_.]+)*")


@dataclass(frozen=True, eq=False)
class Device:
    """Another machine, which measured by a kit.

    Attributes:
        name: that it was imported as.
        machine: what it said of itself; ``processor`` and ``onnxruntime`` are there.
        checked: the whole networks that it measured for predictions to be checked on, and the ms that they took.
    """

    name: str
    machine: Mapping[str, str]
    checked: Mapping[Arch, float]

    @property
    def words(self) -> str:
        """``"Raspberry Pi 5 Model B Rev 1.0, 4 cores, onnxruntime 1.19.2"``."""
        return f"{self.machine['processor']}, onnxruntime {self.machine['onnxruntime']}"


def device_name(text: str) -> str:
    """A name for another machine, in small letters.

    Raises:
        UserError: it cannot be part of a file's name, or is or begins like that of a target of this machine.
    """
    name = str(text).strip().lower()
    if not _NAME.fullmatch(name) or len(name) > 40:
        raise UserError(f"name '{text}' for a machine: give letters, digits, '_', '.' and '-', for example pi5")
    if is_local(name) or name.startswith(("onnx-", "torch-")):
        raise UserError(f"name '{text}' for a machine: onnx-... and torch-... are targets of this one; give another")
    return name

"""Another machine as a latency target: its name, and its own description from when it measured a kit."""

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
    """Another machine that measured a kit.

    Attributes:
        name: under which it was imported.
        machine: its own description, with at least ``processor`` and ``onnxruntime``.
        checked: the whole networks that it measured for checking predictions, with their ms.
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
        UserError: it cannot be part of a file name, or equals or begins like the name of a target of this machine.
    """
    name = str(text).strip().lower()
    if not _NAME.fullmatch(name) or len(name) > 40:
        raise UserError(
            f"'{text}' is not a name for a machine; use only letters, digits, '_', '.' and '-', at most 40, for "
            "example pi5"
        )
    if is_local(name) or name.startswith(("onnx-", "torch-")):
        raise UserError(
            f"'{text}' is not a name for another machine: names like onnx-... and torch-... are targets of this one; "
            "give another"
        )
    return name

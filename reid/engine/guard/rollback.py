"""A run's record of its rollbacks, ``guard.json``.

It is a single write. A run that is killed before the write will blow up again in the same step; one that is killed
after it continues at the lower rate. Both end with the weights of an uninterrupted run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from reid.config import build_config
from reid.errors import UserError
from reid.files import read_json, write_json

ROLLBACKS = "guard.json"


@dataclass(frozen=True)
class Rollback:
    """A rollback of a training.

    Attributes:
        epoch: the epoch in which it blew up.
        to: the epoch from whose end it continued; 0 for the start.
        seen: what showed it.
        rate: factor on the recipe's learning rate since then.
    """

    epoch: int
    to: int
    seen: str
    rate: float

    def __str__(self) -> str:
        where = f"the end of epoch {self.to}" if self.to else "the start"
        return f"{self.seen} in epoch {self.epoch}; back to {where}, from there at {self.rate:g} times the rate"


def write_rollbacks(run: Path, rollbacks: Sequence[Rollback]) -> None:
    """Writes the rollbacks into the folder ``run``, atomically; ``read_rollbacks`` reads them back equal."""
    write_json(run / ROLLBACKS, [asdict(each) for each in rollbacks])


def read_rollbacks(run: Path) -> tuple[Rollback, ...]:
    """The rollbacks of the training in ``run``, earliest first.

    Raises:
        UserError: the file is damaged.
    """
    path = run / ROLLBACKS
    found = read_json(path, "give another --out") if path.exists() else []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise UserError(f"file {path} does not contain rollbacks; give another --out")
    try:
        return tuple(build_config(Rollback, each, str(path)) for each in found)
    except UserError as error:
        raise UserError(f"{error}; give another --out") from None

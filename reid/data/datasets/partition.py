"""Which persons a data set has, and how they are divided between training and test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reid.data.datasets.own import PARTS
from reid.data.datasets.registry import DatasetConfig


@dataclass(frozen=True)
class Partition:
    """Which persons are in a data set, and which of them are trained on.

    Attributes:
        persons: two partitions have persons in common if this is the same.
        division: if this is the same too, no training person of one partition is a test person of the other.
    """

    persons: str
    division: tuple[Any, ...] = ()

    def mixes_with(self, other: Partition) -> bool:
        """Whether training persons of one of the two may be test persons of the other."""
        return self.persons == other.persons and self.division != other.division


def partition_of(config: DatasetConfig) -> Partition:
    """The partition that ``config`` reads, determined without opening it.

    All variants of CUHK03 show the same persons; the classic splits of both kinds of boxes divide them alike. Two
    splits of CUHK01 that differ only in the query's camera are one division.
    """
    if config.name == "cuhk01":
        return Partition("cuhk01", (config.split // 2,))
    if config.name.startswith("cuhk03-classic"):
        return Partition("cuhk03", ("classic", config.split))
    if config.name.startswith("cuhk03"):
        return Partition("cuhk03", (config.name,))
    if config.root is None or config.name in ("market1501", "msmt17"):
        return Partition(config.name)
    root = config.root.expanduser().resolve()
    if config.name == "market-layout" or any((root / part).is_dir() for part in PARTS):
        return Partition(str(root))
    # A pattern for cameras alone does not change the persons.
    names = config.pattern if config.pattern and "(?P<pid>" in config.pattern else None
    return Partition(str(root), (names, config.test_share, config.seed))

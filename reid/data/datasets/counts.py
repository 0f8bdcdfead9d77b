"""Official counts of a data set, and whether the one at hand matches them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reid.data.records import DISTRACTOR_PID, JUNK_PID, ImageRecord
from reid.errors import UserError


@dataclass(frozen=True)
class Counts:
    """Counts of one part of a data set.

    Attributes:
        images: number of images, including distractors and junk.
        identities: number of persons; distractors and junk do not count.
        distractors, junk: numbers of images.
    """

    images: int
    identities: int
    distractors: int = 0
    junk: int = 0

    def __str__(self) -> str:
        words = f"{self.images} images, {self.identities} identities"
        if self.distractors or self.junk:
            words += f", {self.distractors} distractors, {self.junk} junk"
        return words


def count_records(records: Iterable[ImageRecord]) -> Counts:
    """The counts of ``records``."""
    pids = [record.pid for record in records]
    return Counts(
        images=len(pids),
        identities=len(set(pids) - {JUNK_PID, DISTRACTOR_PID}),
        distractors=pids.count(DISTRACTOR_PID),
        junk=pids.count(JUNK_PID),
    )


def require_counts(
    title: str, root: Path, parts: Mapping[str, Sequence[ImageRecord]], expected: Mapping[str, Counts]
) -> None:
    """Compares each part's counts with the official ones.

    Raises:
        UserError: some differ; the message names every part that does, the count found and the one expected.
    """
    found = {name: count_records(parts[name]) for name in expected}
    wrong = [
        f"{name}: found {found[name]}, expected {counts}" for name, counts in expected.items() if found[name] != counts
    ]
    if wrong:
        raise UserError(
            f"{title} at {root} differs from the official data set ({'; '.join(wrong)}); it was probably extracted "
            "only in part: extract it again, or set check_counts: false if the difference is intended"
        )

"""The doctor's diagnoses: a trouble, when it was seen, the evidence, and a cure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Trouble(StrEnum):
    """The known troubles; the value is the name in log and report."""

    COLLAPSE = "collapse"
    STUCK_AT_MARGIN = "stuck at the margin"
    DIVERGENCE = "divergence"
    TAKEN_BACK = "taken back"
    EXPLODING_GRADIENTS = "exploding gradients"
    VANISHING_GRADIENTS = "vanishing gradients"
    NOT_LEARNING = "not learning"
    UNFINISHED = "unfinished"
    RANDOM_LEVEL = "mAP at random level"
    OVERFITTING = "overfitting"
    PK_STARVATION = "PK starvation"
    IDENTITY_OVERLAP = "train/test identity overlap"


class Severity(IntEnum):
    """``NOTE``: the result is good but could be better; ``WARNING``: part of the training does not work; ``CRITICAL``:
    the result is worthless."""

    NOTE = 1
    WARNING = 2
    CRITICAL = 3


@dataclass(frozen=True)
class Finding:
    """What a rule finds at the end of a history.

    Attributes:
        severity: see ``Severity``.
        since: the epoch since which it has held without interruption; 0 for a fact of data and recipe.
        evidence: the figures that show it.
        cure: what to try, by recipe key.
    """

    severity: Severity
    since: int
    evidence: str
    cure: str


@dataclass(frozen=True)
class Diagnosis:
    """A trouble of a training, as of its last epoch.

    Attributes:
        trouble, severity: the trouble, and its severity at its worst.
        since: the first epoch in which it was seen; 0: before the training.
        until: the last epoch in which it was seen, if it has gone since; ``None`` while it lasts.
        evidence: the figures when it was last seen.
        cure: what to try.
    """

    trouble: Trouble
    severity: Severity
    since: int
    until: int | None
    evidence: str
    cure: str

    @property
    def gone(self) -> bool:
        """Whether the last epoch no longer shows it."""
        return self.until is not None

"""``Partway``: saves progress within an epoch beside the checkpoint, so that a long epoch need not start over."""

from __future__ import annotations

import time
from typing import Any

from reid.engine.guard.guard import Guard
from reid.engine.runs.checkpoint import load_state, save_state

PARTWAY = "partway.pt"

EVERY_SECONDS = 60.0
"""Seconds between two writes within an epoch; shorter epochs are never saved in part."""

SHARE = 0.01
"""Maximum share of the time for writing; with a slow disk or a large network, writes are further apart."""


class Partway:
    """Saves the state of a training within an epoch from time to time, and restores it.

    The guard never rolls back to this state, only to the checkpoint of the last sound epoch. The state is obsolete once
    there is a later checkpoint or the training has been rolled back; its contents show that, so a training may be
    killed before the file is removed.

    Args:
        guard: of the training; its checkpoint is already restored (``Guard.restore``).
    """

    def __init__(self, guard: Guard) -> None:
        self._guard, self._path = guard, guard.run / PARTWAY
        self._found: dict[str, Any] | None = None
        self._next = time.monotonic() + EVERY_SECONDS

    def restore(self) -> tuple[int, int]:
        """Restores the saved state if it is further on than the checkpoint.

        Returns:
            Epochs done, and steps done of the next one.

        Raises:
            UserError: the file is damaged.
        """
        guard = self._guard
        if self._path.exists():
            state = load_state(self._path, "remove it: what was done since the last checkpoint is then trained again")
            if all(state.get(key) == value for key, value in self._after().items()):
                done = guard.load(state, self._path)
                self._found = state["within"]
                return done, self._found["steps"]
        return guard.saved_epoch, 0

    def begun(self) -> dict[str, Any] | None:
        """The saved state of the epoch that begins, returned once; ``None`` if it begins at its first step."""
        found, self._found = self._found, None
        return found

    def keep(self, epoch: int, within: dict[str, Any]) -> None:
        """Writes the progress within ``epoch``."""
        start = time.monotonic()
        save_state(self._path, self._guard.state(epoch - 1) | self._after() | {"within": within})
        self._next = time.monotonic() + max(EVERY_SECONDS, (time.monotonic() - start) / SHARE)

    @property
    def is_due(self) -> bool:
        """Whether it is time to ``keep``; only ever true in the first process."""
        return self._guard.step.processes.is_main and time.monotonic() >= self._next

    def drop(self) -> None:
        """Removes the saved state, since there is a later checkpoint or the training has been rolled back."""
        self._found, self._next = None, time.monotonic() + EVERY_SECONDS
        if self._guard.step.processes.is_main:
            self._path.unlink(missing_ok=True)

    def _after(self) -> dict[str, int]:
        """Values that must be unchanged for the file to be usable."""
        guard = self._guard
        return {"after": guard.saved_epoch, "rollbacks": len(guard.rollbacks), "per_epoch": guard.step.per_epoch}

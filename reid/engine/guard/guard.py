"""``Guard``: watches a training, and rolls it back to its last sound epoch if it blows up.

The checkpoint is always of the last sound epoch: an epoch that ends with non-finite weights, or while the loss is too
high, does not replace it. ``reid.engine.recipe.divergence`` decides what counts as blown up;
``reid.engine.guard.rollback`` records the rollbacks.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from reid.engine.guard.rollback import ROLLBACKS, Rollback, read_rollbacks, write_rollbacks
from reid.engine.machine.distributed import gather_batch
from reid.engine.recipe.divergence import Look, Usual, judge, restless
from reid.engine.runs.checkpoint import load_state
from reid.engine.training_step import TrainingStep
from reid.errors import UserError
from reid.out_of_memory import no_memory
from reid.words import counted

STATE = "checkpoint.pt"

LEAST_SCALE = 2.0**-10
"""Lowest scale of fp16's gradient scaler, which halves its scale at every skipped step: a gradient that overflows even
at this scale is above 6e7, or not finite at any scale."""


class BlownUp(Exception):
    """The training has blown up; the message states the evidence."""


class Guard:
    """Watches a training and rolls it back if it blows up.

    Args:
        run: the run folder.
        step: with fresh weights, the same in all processes.

    Attributes:
        rollbacks: so far, earliest first.
        saved_epoch: the epoch whose checkpoint a rollback returns to; 0 if there is none, which means the start.
    """

    def __init__(self, run: Path, step: TrainingStep) -> None:
        self.run, self.step, self.config = run, step, step.recipe.guard
        self.rollbacks: tuple[Rollback, ...] = ()
        self.saved_epoch, self._usual, self._start = 0, Usual(), io.BytesIO()

    def restore(self) -> int:
        """Restores the run's checkpoint, if there is one; returns the number of epochs done.

        Raises:
            UserError: the checkpoint is damaged, or of another network.
        """
        if (self.run / STATE).exists():
            self.saved_epoch = self.load(load_state(self.run / STATE), self.run / STATE)
        else:
            torch.save(self.state(0), self._start)
        # A rollback to a later epoch comes from a run whose checkpoint was removed.
        self.rollbacks = tuple(each for each in read_rollbacks(self.run) if each.to <= self.saved_epoch)
        if self.step.processes.is_main and (self.run / ROLLBACKS).exists():
            write_rollbacks(self.run, self.rollbacks)
        self.step.rate_scale = self.config.rate_after(len(self.rollbacks))
        return self.saved_epoch

    def look(self, look: Look, first_loss: float, epoch: int, short: bool) -> None:
        """Judges a look at the steps of ``epoch``; ``first_loss`` is that of the epoch's first step.

        Raises:
            BlownUp: the training has blown up.
        """
        recipe = self.step.recipe
        usual = self._usual if self._usual.losses else replace(self._usual, losses=(first_loss,))
        self._usual, seen = judge(
            usual,
            look,
            self.config,
            fp16=recipe.precision == "fp16",
            restless=epoch in getattr(self.step.task, "restless_epochs", ())
            or restless(recipe.losses.classification, recipe.optimizer, epoch),
            short=short,
        )
        if seen:
            raise BlownUp(seen)

    def check_weights(self) -> None:
        """Checks everything that a checkpoint would contain; waits once for the device.

        Raises:
            BlownUp: a number is not finite or, under fp16, the gradients are not finite at any scale.
        """
        kind = self.step.device.type  # an optimizer may keep its counters elsewhere
        found = [each.isfinite().all() for each in _floats(self.step.state()) if each.device.type == kind]
        sound = torch.stack(found).all()
        if not bool(gather_batch(self.step.processes, sound[None].int()).all()):
            raise BlownUp("the weights are not finite")
        if self.step.scaler.is_enabled() and self.step.scaler.get_scale() < LEAST_SCALE:  # the same in all processes
            raise BlownUp("the gradient is not finite at any scale")

    @property
    def sound(self) -> bool:
        """Whether the current weights are good enough for a rollback to return to them."""
        return self._usual.sound(self.config.patience)

    def state(self, epoch: int) -> dict[str, Any]:
        """The contents of a checkpoint; ``epoch`` is the last epoch that has ended."""
        return self.step.state() | {"epoch": epoch, "usual": asdict(self._usual)}

    def load(self, state: dict[str, Any], path: Path) -> int:
        """Restores what ``state`` returned, here read from ``path``; returns the number of epochs done.

        Raises:
            UserError: it is of another network or other data.
        """
        try:
            self.step.load_state(state)
            self._usual = Usual(**state.get("usual", {}))  # early versions did not save it
            return int(state["epoch"])
        # The configuration is the same (open_run), but the data and the version of the code may differ.
        except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
            if no_memory(error):  # no fault of the state
                raise
            what = str(error).splitlines()[-1].strip()
            raise UserError(f"{path} belongs to another network or other data ({what}); give another --out") from None

    def saved(self, epoch: int) -> None:
        """To be called by every process when the checkpoint of ``epoch`` is written; rollbacks now return to it."""
        self.saved_epoch, self._start = epoch, io.BytesIO()

    def told(self, epoch: int) -> dict[str, Any]:
        """The fields about rollbacks in the record of ``epoch``, if any returned to its start."""
        back = [asdict(each) for each in self.rollbacks if each.to == epoch - 1]
        return {"rolled_back": back} if back else {}

    def go_back(self, epoch: int, seen: str) -> Rollback:
        """Restores the last sound epoch with a lower learning rate; every process must call it.

        Raises:
            UserError: the allowed number of rollbacks is used up.
        """
        if len(self.rollbacks) >= self.config.rollbacks:
            raise UserError(f"{seen} in epoch {epoch}; lower optimizer.lr or set clip_gradient{self._tried()}")
        rate = self.config.rate_after(len(self.rollbacks) + 1)
        self.rollbacks = (*self.rollbacks, Rollback(epoch, self.saved_epoch, seen, rate))
        if self.step.processes.is_main:
            write_rollbacks(self.run, self.rollbacks)
        self._usual = Usual()
        if self.saved_epoch:
            self.load(load_state(self.run / STATE), self.run / STATE)
        else:
            self._start.seek(0)
            self.load(torch.load(self._start, map_location=self.step.device, weights_only=True), self.run)
        self.step.rate_scale = rate
        return self.rollbacks[-1]

    def _tried(self) -> str:
        if not self.rollbacks:
            return ""
        often = counted(len(self.rollbacks), "time")
        return f" (rolled back {often}, the last time to {self.step.rate_scale:g} times the rate)"


def _floats(state: Any) -> Iterator[torch.Tensor]:
    """All floating-point tensors in nested mappings and lists."""
    if isinstance(state, torch.Tensor):
        if state.is_floating_point():
            yield state
    elif isinstance(state, dict | list | tuple):
        for each in state.values() if isinstance(state, dict) else state:
            yield from _floats(each)

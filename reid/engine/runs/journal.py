"""The output of a training after every epoch: its record, TensorBoard's events, and the doctor's diagnoses."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from torch.utils.tensorboard import SummaryWriter

from reid.engine.doctor import TrainingFacts, examine, line, news
from reid.engine.runs.run_folder import METRICS, append_metrics, keep_metrics_until, read_metrics
from reid.engine.runs.tags import tag_of
from reid.files import naming, write_json
from reid.words import counted

DOCTOR = "doctor.json"

FLUSH_SECONDS = 5
"""Seconds between writes of TensorBoard's thread, and so the longest time that the end of a run may wait for it. If an
interrupt comes while an event is being queued, the signal that wakes the thread to end may be lost; it then wakes only
at its next write, by default 120 s later, when a batch system has already killed the process."""


class Journal:
    """Writes a run's records.

    Args:
        run: the run folder.
        done: epochs already done; records of later ones are dropped.
        facts: what the doctor needs to know about the training; ``None`` for no doctor.
        say: prints a line above the progress bar.
    """

    def __init__(self, run: Path, done: int, facts: TrainingFacts | None, say: Callable[[str], None]) -> None:
        self.run, self.facts, self.say = run, facts, say
        keep_metrics_until(run, done)
        self.records: list[dict[str, Any]] = read_metrics(run)
        self._tell_lost(done)

    def __enter__(self) -> Journal:
        self._open(self.records[-1]["epoch"] if self.records else 0)
        return self

    def __exit__(self, *_: object) -> None:
        with naming(self._events):
            self._writer.close()
        if self.facts is not None:  # only at the end, since it examines the history as of every epoch
            _write_doctor(self.run, self.records, self.facts)

    def _tell_lost(self, done: int) -> None:
        """Warns of lost records, for example after a power failure; they are no reason to lose the training."""
        lost = len({*range(1, done + 1)} - {record["epoch"] for record in self.records})
        if lost:
            self.say(
                f"  note      {self.run / METRICS} has lost {lost} of {counted(done, 'epoch')}; the curves, the "
                "doctor, the best epoch and early stopping use the others only"
            )

    def go_back(self, done: int, why: str) -> None:
        """Drops the records of epochs after ``done``, and says why."""
        keep_metrics_until(self.run, done)
        self.records = read_metrics(self.run)
        # This event makes TensorBoard drop later epochs. A new file would too, but files of the same second are read in
        # the order of their names, where a tenth comes before a ninth.
        self._writer.file_writer.add_event(Event(session_log=SessionLog(status=SessionLog.START)), done + 1)
        self.say(f"  {why}")

    def _open(self, done: int) -> None:
        self._writer = SummaryWriter(str(self._events), purge_step=done + 1, flush_secs=FLUSH_SECONDS)

    @property
    def _events(self) -> Path:
        return self.run / "tensorboard"

    def write(self, record: dict[str, Any]) -> None:
        """Adds an epoch's record and prints which troubles came or went with it."""
        self.records.append(record)
        append_metrics(self.run, {name: _finite(value) for name, value in record.items()})
        with naming(self._events):
            for name, value in record.items():
                if name != "epoch" and isinstance(value, int | float) and not isinstance(value, bool):
                    self._writer.add_scalar(tag_of(name), value, record["epoch"])
        if self.facts is None:
            return
        for diagnosis in news(self.records, self.facts):
            self.say(f"  {line(diagnosis)}")


def complete(run: Path, done: int, facts: TrainingFacts | None) -> None:
    """Writes the doctor's report of a finished training of ``done`` epochs, in case it was killed between its last
    checkpoint and its end. With fewer records, the report would say less than an existing one."""
    if facts is not None and len(records := read_metrics(run)) == done:
        _write_doctor(run, records, facts)


def _write_doctor(run: Path, records: list[dict[str, Any]], facts: TrainingFacts) -> None:
    write_json(run / DOCTOR, [dataclasses.asdict(each) for each in examine(records, facts)])


def _finite(value: Any) -> Any:
    """``value`` in a form that JSON can express: the mean gradient norm is infinite if fp16's scaler skipped a step."""
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""What a training leaves behind after every epoch: its record, TensorBoard's events, and what the doctor says."""

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
"""How often TensorBoard's thread writes what it was given, and so the longest that a run's end can wait for it. An
interrupt that comes while an event is handed to it can take the signal that wakes it to end; by itself it then wakes
when it next writes, 120 s later by default, and a batch system has killed the process by then."""


class Journal:
    """Writes a run's records.

    Args:
        run: the run folder.
        done: epochs that the run goes on from; what was written of later ones is dropped.
        facts: what the doctor must know of the training, or None to do without.
        say: prints a line between those of the progress bar.
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
        if self.facts is not None:  # at the end, not every epoch: it looks at every epoch's view of the history
            _write_doctor(self.run, self.records, self.facts)

    def _tell_lost(self, done: int) -> None:
        """What is lost of records, as with a machine whose power went, is no reason to lose the training."""
        lost = len({*range(1, done + 1)} - {record["epoch"] for record in self.records})
        if lost:
            self.say(
                f"  note      {self.run / METRICS} has lost {lost} of {counted(done, 'epoch')}; the curves, the "
                "doctor, the best epoch and early stopping go by the others"
            )

    def go_back(self, done: int, why: str) -> None:
        """Drops what was written of epochs after ``done``, and says why."""
        keep_metrics_until(self.run, done)
        self.records = read_metrics(self.run)
        # TensorBoard drops what came of later epochs. A second file would do as well, but those of one second are read
        # in the order of their names, in which a tenth comes before a ninth.
        self._writer.file_writer.add_event(Event(session_log=SessionLog(status=SessionLog.START)), done + 1)
        self.say(f"  {why}")

    def _open(self, done: int) -> None:
        self._writer = SummaryWriter(str(self._events), purge_step=done + 1, flush_secs=FLUSH_SECONDS)

    @property
    def _events(self) -> Path:
        return self.run / "tensorboard"

    def write(self, record: dict[str, Any]) -> None:
        """Adds an epoch's record and says what trouble came, or has gone, with it."""
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
    """Writes what a training of ``done`` epochs, all of them, lacks where it was killed between its last checkpoint and
    its end: what the doctor says. Records of fewer epochs say less than those that it went by."""
    if facts is not None and len(records := read_metrics(run)) == done:
        _write_doctor(run, records, facts)


def _write_doctor(run: Path, records: list[dict[str, Any]], facts: TrainingFacts) -> None:
    write_json(run / DOCTOR, [dataclasses.asdict(each) for each in examine(records, facts)])


def _finite(value: Any) -> Any:
    """JSON has no infinity, which the mean gradient norm is where fp16's scaler has left a step out."""
    return None if isinstance(value, float) and not math.isfinite(value) else value

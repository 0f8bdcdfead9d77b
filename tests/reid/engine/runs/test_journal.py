"""What a training leaves after every epoch, of the journal by itself."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import replace

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from reid.engine.doctor import TrainingFacts
from reid.engine.runs.journal import DOCTOR, FLUSH_SECONDS, Journal
from reid.engine.runs.run_folder import append_metrics, read_metrics
from reid.engine.runs.tags import tag_of


def _facts() -> TrainingFacts:
    return TrainingFacts(epochs=4, steps_per_epoch=5, classes=10, identities=4, instances=2)


def test_journal_of_a_resumed_run(tmp_path):
    """Epochs after the checkpoint's are dropped and written anew, in ``metrics.jsonl`` and for TensorBoard."""
    for epoch in (1, 2, 3):
        append_metrics(tmp_path, {"epoch": epoch, "loss": float(epoch)})
    said = []
    with Journal(tmp_path, 2, _facts(), said.append) as journal:
        assert [record["epoch"] for record in journal.records] == [1, 2]
        for epoch in (3, 4):
            journal.write({"epoch": epoch, "loss": 10.0 * epoch})
    assert [record["loss"] for record in read_metrics(tmp_path)] == [1.0, 2.0, 30.0, 40.0]
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars(tag_of("loss"))] == [(3, 30.0), (4, 40.0)]
    assert [line for line in said if "divergence since epoch 3" in line] == said and len(said) == 1
    told = json.loads((tmp_path / DOCTOR).read_text())
    assert [each["trouble"] for each in told] == ["divergence"]


def test_metrics_are_json_whatever_the_gradients(tmp_path):
    """fp16's scaler leaves steps with infinite gradients out: their norm is no number of JSON's."""
    with Journal(tmp_path, 0, replace(_facts(), precision="fp16"), print) as journal:
        journal.write({"epoch": 1, "loss": 2.0, "gradient_norm": math.inf})

    def refuse(word: str) -> None:
        raise ValueError(word)

    assert json.loads((tmp_path / "metrics.jsonl").read_text(), parse_constant=refuse)["gradient_norm"] is None


def test_an_end_does_not_wait_for_a_lost_wake_up(tmp_path, monkeypatch):
    """An interrupt inside ``Condition.notify`` leaves a waiter in the list that was woken before, and the next wake-up
    goes to it; two minutes passed then before the process ended."""
    assert FLUSH_SECONDS <= 5
    monkeypatch.setattr("reid.engine.runs.journal.FLUSH_SECONDS", 0.2)
    begun = threading.Event()
    with Journal(tmp_path, 0, None, print) as journal:
        queue = journal._writer.file_writer.event_writer._async_writer._byte_queue
        waits = queue.not_empty.wait
        monkeypatch.setattr(queue.not_empty, "wait", lambda timeout: (begun.set(), waits(timeout)))
        assert begun.wait(30)
        with queue.mutex:
            stale = threading.Lock()
            stale.acquire()
            queue.not_empty._waiters.appendleft(stale)
        ended = threading.Thread(target=journal._writer.close, daemon=True)
        ended.start()
        ended.join(30)
        assert not ended.is_alive()

"""The table on a machine whose times are known: what it predicts, keeps and measures again."""

from __future__ import annotations

import json
import threading
import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid.errors import UserError
from reid.locks import locked
from search.costs import CostTable
from search.latency import Target, build_table
from search.latency.draws import spread_archs
from search.latency.parts import space_parts
from search.latency.table import FITTED, fit_correction
from supernet.files import mobilenet_v2
from supernet.space import decode
from supernet.space.genome import sample

TARGET, COSTS = Target("torch", "cpu"), CostTable()


def build(space, folder):
    return build_table(space, TARGET, folder, costs=COSTS, rounds=2, seconds=0, progress=False)


def times_of(path):
    return {name: ms for name, (ms, _) in json.loads(path.read_text())["times"].items()}


def test_table_predicts_a_machine_that_adds_up(space, machine, tmp_path):
    table, random = build(space, tmp_path), Random(0)
    assert (table.correction.scale, table.correction.offset_ms) == (pytest.approx(1), pytest.approx(0, abs=1e-6))
    for _ in range(100):
        arch = decode(space, sample(space, random))
        assert table.latency(arch) == pytest.approx(machine.call_ms + COSTS.parameters(arch) / 1000, rel=1e-4)


def test_second_time_nothing_is_measured(space, machine, tmp_path):
    machine.call_ms = 1 / 3  # times of more digits than the file has
    first = build(space, tmp_path)
    assert machine.prepared == len(space_parts(space)) + 1 + FITTED
    kept = first.path.read_bytes()
    second = build(space, tmp_path)
    assert machine.prepared == len(space_parts(space)) + 1 + FITTED
    # To the digit: a search that goes on must find the table that it was begun with.
    assert second.parts == first.parts and second.correction == first.correction and not second.note
    assert second.path.read_bytes() == kept


def test_a_measurement_of_another_process_is_waited_for(space, machine, tmp_path):
    """Each would be in the other's times, and one of the two tables would be lost."""
    made = []
    with locked(tmp_path):
        waiting = threading.Thread(target=lambda: made.append(build(space, tmp_path)))
        waiting.start()
        time.sleep(0.2)
        assert machine.prepared == 0 and not made
    waiting.join()
    assert machine.prepared > 0 and len(made) == 1
    with locked(tmp_path):  # what is there already is read at once
        assert build(space, tmp_path).parts == made[0].parts


@pytest.mark.parametrize("calls", [0, 800, 1800])
def test_interrupted_measurement_goes_on(space, machine, tmp_path, monkeypatch, calls):
    whole = build(space, tmp_path / "whole")
    monkeypatch.setattr("search.latency.table.GROUP", 50)
    machine.calls_left = calls
    with pytest.raises(KeyboardInterrupt):
        build(space, tmp_path / "broken")
    kept = times_of(tmp_path / "broken" / whole.path.name) if calls else {}
    assert bool(kept) == bool(calls) and len(kept) < len(times_of(whole.path))
    machine.calls_left, machine.speed = 10**9, 2.0  # what is measured from here on takes half the time
    table = build(space, tmp_path / "broken")
    after, before = times_of(table.path), times_of(whole.path)
    assert after.keys() == before.keys()
    for name, ms in after.items():
        assert ms == pytest.approx(before[name] / (1 if name in kept else 2), abs=2e-6)


@pytest.mark.parametrize("what", ["processor", "torch"])
def test_times_of_another_machine_are_measured_again(space, machine, tmp_path, what):
    path = build(space, tmp_path).path
    data = json.loads(path.read_text())
    data["machine"][what] = "another"
    path.write_text(json.dumps(data))
    before = machine.prepared
    table = build(space, tmp_path)
    assert machine.prepared == 2 * before and f"{what} another, now" in table.note
    assert not build(space, tmp_path).note


TIMES = '{"form": 1, "target": "torch-cpu-1t", "machine": {}, "times": {"a": [%s]}}'


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[1]", '{"form": 1}', '{"form": 0, "target": "torch-cpu-1t"}'),
        *(TIMES % row for row in ("1.0, Infinity", "NaN, 50", "-1.0, 50", '"1.0", 50', "1.0")),
    ],
)
def test_damaged_file_is_measured_again(space, machine, tmp_path, text):
    path = tmp_path / "few-16x8-torch-cpu-1t.json"
    path.write_text(text)
    table = build(space, tmp_path)
    assert table.path == path and "cannot be used" in table.note and len(times_of(path)) > 100


def test_arch_of_another_space_is_refused(space, machine, tmp_path):
    with pytest.raises(UserError, match="no part .*build a table"):
        build(space, tmp_path).latency(mobilenet_v2())


@given(st.floats(0.1, 10), st.floats(-0.05, 5), st.lists(st.floats(1, 100), min_size=3, max_size=20, unique=True))
def test_correction_finds_the_line(scale, offset, sums):
    if max(sums) - min(sums) < 0.01:
        return
    correction = fit_correction(sums, [scale * each + offset for each in sums])
    assert correction.scale == pytest.approx(scale, rel=1e-3) and correction.error < 1e-6
    assert correction.offset_ms == pytest.approx(offset, abs=1e-3 * (1 + scale * max(sums)))


@pytest.mark.parametrize(("sums", "measured"), [([2.0, 2.0], [3.0, 3.0]), ([1.0, 2.0], [2.0, 1.0]), ([4.0], [6.0])])
def test_correction_is_a_scale_where_no_line_rises(sums, measured):
    correction = fit_correction(sums, measured)
    assert correction.offset_ms == 0
    if len(set(measured)) == 1:
        assert correction.scale == pytest.approx(1.5)
    else:  # the scale of least squared relative error, found by trying
        tried = [number / 10000 for number in range(1, 30000)]
        loss = {each: sum((each * x / y - 1) ** 2 for x, y in zip(sums, measured, strict=True)) for each in tried}
        assert correction.scale == pytest.approx(min(loss, key=loss.get), abs=1e-4)


def test_archs_are_spread_over_the_flops(space):
    archs = spread_archs(space, 12, "test", COSTS)
    flops = sorted(map(COSTS.flops, archs))
    assert len(set(archs)) == 12 and archs == spread_archs(space, 12, "test", COSTS)
    assert archs != spread_archs(space, 12, "other", COSTS)
    steps = [high - low for low, high in zip(flops, flops[1:], strict=False)]
    assert max(steps) < 2.5 * (flops[-1] - flops[0]) / 11

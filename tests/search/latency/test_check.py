"""The error of predictions: by hand, and on a machine whose times are known."""

from __future__ import annotations

import pytest

from reid.errors import UserError
from search.latency import Target, build_table, describe_error, measure, prediction_error
from search.latency.check import LatencyRow, error_of
from supernet.layers.blocks import InvertedResidual
from supernet.space import Space, StageSpace
from supernet.space.genome import smallest


def test_figures_by_hand(space):
    pairs = [(1.0, 1.0), (2.2, 2.0), (3.0, 4.0), (3.5, 3.0)]  # errors 0, 1/10, -1/4, 1/6; ranks 1 2 3 4 and 1 2 4 3
    error = error_of(tuple(LatencyRow(smallest(space), 1, *pair) for pair in pairs))
    assert [row.error for row in error.rows] == pytest.approx([0, 0.1, -0.25, 1 / 6])
    assert (error.median, error.worst) == (pytest.approx((1 / 10 + 1 / 6) / 2), pytest.approx(0.25))
    assert error.spearman == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert describe_error(error) == (
        "off by 13.3 % (median) and 25.0 % (worst) on 4 whole networks, rank correlation 0.800"
    )


def test_times_that_are_all_alike_have_no_order(space):
    """As of a coarse clock; what is no number is not JSON, and the report of a whole measurement was lost."""
    rows = tuple(LatencyRow(smallest(space), 1, predicted, 2.0) for predicted in (1.0, 2.0, 3.0))
    assert error_of(rows).spearman == error_of(rows[:1]).spearman == 0
    assert describe_error(error_of(rows)).endswith("rank correlation 0.000")


@pytest.mark.parametrize("speed", [1.0, 0.5, 1.25])
def test_a_slower_machine_is_no_error_of_the_table(space, machine, costs, tmp_path, speed):
    target = Target("torch", "cpu")
    table = build_table(space, target, tmp_path, costs=costs, rounds=1, seconds=0, progress=False)
    machine.speed = speed
    error = prediction_error(table, space, 10, costs=costs, rounds=1, seconds=0, progress=False)
    assert error.drift == pytest.approx(1 / speed, rel=1e-4) and error.worst < 1e-4
    assert ("slower now" in describe_error(error), "faster now" in describe_error(error)) == (speed < 1, speed > 1)
    archs = [row.arch for row in error.rows]
    assert len(set(archs)) == 10 and not set(archs) & set(table.fitted)


@pytest.mark.parametrize("widths", [(4, 6), tuple(range(2, 19)), tuple(range(2, 20))])
def test_a_space_of_few_archs_is_checked_on_what_it_has(machine, tmp_path, widths):
    stages = (StageSpace(1, widths=widths, depths=(1,), kernels=(3,), expands=(1,)),)
    few, target = Space("few-archs", (16, 8), (4,), stages, (0,)), Target("torch", "cpu")
    table = build_table(few, target, tmp_path, rounds=1, seconds=0, progress=False)
    error = prediction_error(table, few, 4, rounds=1, seconds=0, progress=False)
    assert len(error.rows) >= 2 and error.worst < 1e-4 and error.spearman == pytest.approx(1)
    assert len({row.arch for row in error.rows}) == len(error.rows)


def test_a_space_of_one_arch_has_nothing_to_check(machine, tmp_path):
    stages = (StageSpace(1, widths=(4,), depths=(1,), kernels=(3,), expands=(1,)),)
    one, target = Space("one", (16, 8), (4,), stages, (0,)), Target("torch", "cpu")
    table = build_table(one, target, tmp_path, rounds=1, seconds=0, progress=False)
    with pytest.raises(UserError, match="space one has only one arch"):
        prediction_error(table, one, 10, rounds=1, seconds=0, progress=False)


def test_what_does_not_add_up_is_found(space, machine, costs, tmp_path):
    """Each network takes half as long again with an even number of blocks; its parts do not."""
    target, whole = Target("torch", "cpu"), measure.prepare
    table = build_table(space, target, tmp_path, costs=costs, rounds=1, seconds=0, progress=False)

    def prepare(network, shape, target):
        call = whole(network, shape, target)

        def twice() -> None:
            before = machine.now
            call()
            blocks = sum(isinstance(each, InvertedResidual) for each in network.modules())
            machine.now += 0.5 * (machine.now - before) * (blocks % 2 == 0)

        return twice

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "prepare", prepare)
        error = prediction_error(table, space, 10, costs=costs, rounds=1, seconds=0, progress=False)
    assert {each.arch.depth % 2 for each in error.rows} == {0, 1}
    for row in error.rows:
        times = 1.5 if row.arch.depth % 2 == 0 else 1
        assert row.error + 1 == pytest.approx(error.drift / times, rel=1e-4)
    assert error.worst > 0.1

"""The progress of an experiment's steps and the remaining work, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from reid.errors import UserError
from reid.words import counted
from tools.jobs.paths import shown
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.plan.steps import LATENCY, ROW, Step, plan_steps, select
from tools.jobs.results.processes import LOG
from tools.jobs.results.settings import check_step
from tools.jobs.results.slices import DONE, FAILED, STOPPED, Slice
from tools.jobs.results.states import (
    is_begun,
    is_done,
    missing_packages,
    progress,
    read_record,
    saved,
    trained_networks,
)

REFUSED = "refused"
"""The state of a step that does not match the current plan."""


def left_over(setup: Setup, steps: Sequence[Step], made: Slice) -> Iterator[str]:
    """Lines about failed steps, steps that cannot run on this machine, and the remaining work."""
    states = {step.name: _state(setup, step, steps) for step in steps}
    for step in steps:
        ending = made.endings.get(step.name)
        if ending is not None and ending.state == FAILED:
            yield f"FAILED: {step.name}: {ending.tail[-1]} (log: {shown(setup.places.record(step) / LOG)})"
        elif states[step.name].startswith("needs"):
            yield f"{step.name}: {states[step.name]}"
    left = [step for step in steps if states[step.name] != DONE]
    if left:
        names = ", ".join(step.name for step in left[:6]) + (", ..." if len(left) > 6 else "")
        yield f"left: {len(left)} of {len(steps)} steps ({names}); run the same command again to continue"
    else:
        yield "the step is done" if len(steps) == 1 else f"all {len(steps)} steps are done"


def in_vain(setup: Setup, before: Mapping[str, frozenset], steps: Sequence[Step], made: Slice) -> Iterator[str]:
    """Names steps that the slice's end stopped before they saved anything beyond ``before``: giving the same command
    again would never finish them."""
    stopped = [each for each in steps if (ended := made.endings.get(each.name)) and ended.state == STOPPED]
    names = [each.name for each in stopped if saved(setup.places, each) == before[each.name]]
    if names and not made.interrupted:
        yield f"no progress was saved of {', '.join(names)}: the slice ended too early; give more --minutes"


def print_status(setup: Setup, only: Sequence[str]) -> None:
    """Prints the progress of every step and runs nothing. Also prints why the next command would be refused and what to
    do, above all for steps that were run with settings other than the plan's current ones."""
    steps = select(plan_steps(setup.plan), only)
    width = max(len(step.name) for step in steps)
    refused = refusals(setup, steps)
    states = {step.name: REFUSED if step.name in refused else _state(setup, step, steps) for step in steps}
    for step in steps:
        words = ", ".join(filter(None, (states[step.name], progress(setup.places, step))))
        print(f"{step.name:<{width}}  {words}")
    done = [step.kind for step in steps if states[step.name] == DONE]
    print(f"{len(done)} of {len(steps)} steps are done, including {counted(done.count(ROW), 'training')}")
    for why in refused.values():
        print(f"refused: {why}")


def refusals(setup: Setup, steps: Iterable[Step]) -> dict[str, str]:
    """Why running a step would be refused, by step name, for each step for which it would be."""
    found = {}
    for step in steps:
        try:
            check_step(setup, step)
        except UserError as error:
            found[step.name] = str(error) if str(error).startswith(step.name) else f"{step.name}: {error}"
    return found


def _state(setup: Setup, step: Step, steps: Sequence[Step]) -> str:
    if step.kind == LATENCY and not trained_networks(setup.places):
        return "waiting for rows"
    if is_done(setup.places, step):
        return DONE
    missing = missing_packages(setup, step)
    if missing:
        return missing
    waits = [each.name for each in steps if each.name in step.needs and not is_done(setup.places, each)]
    if waits:
        return f"waiting for {', '.join(waits)}"
    if read_record(setup.places.record(step)).failed:
        return FAILED
    return "started" if is_begun(setup.places, step) else "not started"

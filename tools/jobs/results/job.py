"""The job of ``tools/results.py``: runs a plan's steps in slices of time, each step with its own tool."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from evaluation.report.html import REPORT
from reid.errors import UserError
from supernet.files import load_space
from tools.jobs.data import open_source, test_data
from tools.jobs.paths import shown
from tools.jobs.results.checks import check_plan
from tools.jobs.results.commands import step_commands
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.plan.steps import LATENCY, ROW, Step, plan_steps, select
from tools.jobs.results.processes import LOG, share_cores
from tools.jobs.results.settings import check_steps, keep_settings
from tools.jobs.results.slices import FAILED, Ending, Task, run_slice
from tools.jobs.results.states import TIMES, is_done, is_trained, missing_packages, read_record, saved, write_record
from tools.jobs.results.status import in_vain, left_over, refusals
from tools.jobs.results.written.figures import read_figures
from tools.jobs.results.written.publish import write_results
from tools.jobs.results.written.row_table import short_table
from tools.jobs.runs.ownership import check_owner
from tools.jobs.training.finished import complete
from tools.jobs.words.opening import announce

WAIT = 60.0
"""Seconds to wait for the remaining steps of a killed command to end."""


@dataclasses.dataclass(frozen=True)
class Ask:
    """The options of one call.

    Attributes:
        minutes: how long steps may run; ``None`` for no limit.
        jobs: number of steps that run at once.
        only: names of the steps to run; see ``select``.
    """

    minutes: float | None = None
    jobs: int = 1
    only: Sequence[str] = ()


def run_results(setup: Setup, ask: Ask) -> int:
    """Runs unfinished steps for a slice of time, then writes and prints the table.

    Returns the exit code: 0, 1 if a step failed, or 130 if the user interrupted.

    Raises:
        UserError: a step's settings are wrong or differ from those it was run with, data are missing, another command
            is working in the folder, or the folder holds another tool's run.
    """
    if ask.jobs < 1:
        raise UserError(f"--jobs {ask.jobs}: must be at least 1")
    if ask.minutes is not None and not ask.minutes > 0:
        raise UserError(f"--minutes {ask.minutes:g}: must be above 0")
    start = time.monotonic()
    check_owner(setup.places.out, own=TIMES)
    steps = select(plan_steps(setup.plan), ask.only)
    check_plan(setup, steps)
    check_steps(setup, steps)
    others = [step for step in plan_steps(setup.plan) if step.kind == ROW and step not in steps]
    refused = refusals(setup, [step for step in others if is_done(setup.places, step)])
    left = [step for step in steps if not is_done(setup.places, step)]
    announce(
        f"{setup.file.stem}: the whole experiment in {shown(setup.places.out)}",
        [
            ("steps", f"{len(steps)}, {len(steps) - len(left)} of them finished"),
            (
                "slice",
                "no limit" if ask.minutes is None else f"{ask.minutes:g} min; run the same command again to continue",
            ),
            ("parallel", f"{ask.jobs}"),
        ],
    )
    with _locked(setup.places.out) as held:
        _decode_images(setup, left)
        before = {step.name: saved(setup.places, step) for step in steps}
        seconds = None if ask.minutes is None else max(1.0, 60 * ask.minutes - (time.monotonic() - start))
        made = run_slice(
            [_task(setup, step) for step in steps],
            ask.jobs,
            seconds,
            share_cores(ask.jobs),
            tell=lambda line: print(line, flush=True),
            on_end=_noting(setup, steps),
            held=held,
        )
        rows = read_figures(setup, without=refused)
        table = write_results(setup, rows)
    print(f"\n{short_table(rows)}\n\ntable: {shown(table)}\nreport: {shown(table.with_name(REPORT))}")
    for why in refused.values():
        print(f"left out of the table: {why}")
    for line in (*left_over(setup, steps, made), *in_vain(setup, before, steps, made)):
        print(line)
    failed = any(ending.state == FAILED for ending in made.endings.values())
    return 130 if made.interrupted else 1 if failed else 0


def _task(setup: Setup, step: Step) -> Task:
    def commands() -> list[list[str]]:
        made = step_commands(setup, step)
        keep_settings(setup, step)
        if step.kind == ROW and is_trained(setup.places, step):
            complete(setup.places.run(step))
        return made

    return Task(
        step.name,
        step.needs,
        done=lambda: is_done(setup.places, step),
        commands=commands,
        log=setup.places.record(step) / LOG,
        alone=step.alone,
        blocked=missing_packages(setup, step),
    )


def _noting(setup: Setup, steps: Sequence[Step]):
    by_name = {step.name: step for step in steps}

    def note(name: str, ending: Ending) -> None:
        folder = setup.places.record(by_name[name])
        before = read_record(folder)
        seconds, slices = before.seconds + ending.seconds, before.slices + 1
        write_record(folder, dataclasses.replace(before, seconds=seconds, slices=slices, failed=ending.state == FAILED))

    return note


def _decode_images(setup: Setup, left: Sequence[Step]) -> None:
    """Prepares and decodes all data once, so that steps running at the same time do not each do it."""
    if not any(step.kind != LATENCY for step in left):
        return
    experiment = setup.experiment(left[0])
    size = experiment.input_size or load_space(experiment.space).input_size
    source = open_source(experiment.data, setup.data, size)
    source.decode(source.dataset.train)
    if source.dataset.has_test:
        test_data(source)
    announce("", [("data", source.name), ("note", source.notice)])


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[tuple[int, ...]]:
    """Locks the folder for one command and yields the files that pass the lock on to its steps: steps of a killed
    command may still be ending. Without locks on the platform or file system, nothing is locked.

    Raises:
        UserError: another process holds the lock for longer than ``WAIT`` seconds.
    """
    out.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield ()
        return
    with (out / ".lock").open("w") as file:
        until = time.monotonic() + WAIT
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise UserError(
                        f"{shown(out)}: another command or its steps are still working there; wait until they end"
                    ) from None
                time.sleep(0.5)
            except OSError:  # some network file systems
                break
        yield (file.fileno(),)

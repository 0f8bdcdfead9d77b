"""The command lines of a step: the same tools that a user would run."""

from __future__ import annotations

import sys

from tools.jobs.experiment import ROOT
from tools.jobs.paths import shown
from tools.jobs.results.archs import network_name
from tools.jobs.results.plan.file import find, supernet_of
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.plan.steps import LATENCY, RANKING, ROW, SEARCH, SUPERNET, Step
from tools.jobs.results.states import is_begun, is_trained

Command = list[str]


def step_commands(setup: Setup, step: Step) -> list[Command]:
    """The commands to run, one after the other, without those already done.

    Raises:
        UserError: the row's network cannot be made; see ``network_name``.
    """
    makers = {SUPERNET: _supernet, SEARCH: _search, ROW: _row, RANKING: _ranking, LATENCY: _latency}
    return makers[step.kind](setup, step)


def _supernet(setup: Setup, step: Step) -> list[Command]:
    return [_tool("train_supernet", *_common(setup, step, step.part.seed))]


def _search(setup: Setup, step: Step) -> list[Command]:
    part = step.part
    names = (part.supernet, *part.beside)
    supernets = [word for name in names for word in ("--supernet", _supernet_run(setup, name))]
    options = [word for name, value in setup.searching(part).items() for word in (f"--{name}", str(value))]
    options += ["--strategy", part.strategy]
    options += [] if part.learn_from is None else ["--learn-from", _ranking_run(setup, part.learn_from)]
    return [_tool("search", *supernets, *options, *_common(setup, step, part.seed))]


def _ranking(setup: Setup, step: Step) -> list[Command]:
    part = step.part
    what = ["--supernet", _supernet_run(setup, part.supernet), "--n", str(part.n), "--repeats", str(part.repeats)]
    what += [] if part.band is None else ["--band", str(part.band)]
    return [_tool("rank", *what, *_common(setup, step, 0), "--resume")]


def _row(setup: Setup, step: Step) -> list[Command]:
    run = shown(setup.places.run(step))
    flip = [run, "--flip", "--calibrate", "none", "--replace", *_options(setup, step), *_where(setup)]
    commands = [_tool("evaluate", *flip, "--out", shown(setup.places.flip(step)))]
    if not is_trained(setup.places, step):
        what = ["--arch", network_name(setup, step)]
        for name, value in setup.training(step.part).items():
            what += [f"--{name}", str(value)]
        supernet = supernet_of(setup.plan, step.part.row)
        what += [] if supernet is None else ["--inherit", _supernet_run(setup, supernet.name)]
        commands.insert(0, _tool("retrain", *what, *_common(setup, step, step.seed)))
    return commands


def _latency(setup: Setup, step: Step) -> list[Command]:
    return [_tool("results", "--plan", shown(setup.file), "--out", shown(setup.places.out), "--step", "latency")]


def _supernet_run(setup: Setup, name: str) -> str:
    part = find(setup.plan.supernets, name, "supernet")
    return shown(setup.places.run(Step("", SUPERNET, part)))


def _ranking_run(setup: Setup, name: str) -> str:
    part = find(setup.plan.rankings, name, "ranking")
    return shown(setup.places.run(Step("", RANKING, part)))


def _tool(name: str, *arguments: str) -> Command:
    return [sys.executable, shown(ROOT / "tools" / f"{name}.py"), *arguments]


def _common(setup: Setup, step: Step, seed: int) -> list[str]:
    resume = ["--resume"] if is_begun(setup.places, step) else []
    out = ["--out", shown(setup.places.run(step))]
    return [*_options(setup, step), *_where(setup), "--seed", str(seed), *out, *resume]


def _options(setup: Setup, step: Step) -> list[str]:
    overrides = [argument for text in setup.overrides(step) for argument in ("--set", text)]
    return ["--config", shown(setup.config), *overrides]


def _where(setup: Setup) -> list[str]:
    data = [] if setup.data is None else ["--data", str(setup.data)]
    return [*data, *([] if setup.device == "auto" else ["--device", setup.device])]

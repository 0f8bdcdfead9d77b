"""The settings that a step's outcome depends on, stored beside it so that it is not mistaken for another's."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from reid.config import config_to_dict
from reid.engine.runs.run_folder import CONFIG, first_difference
from reid.engine.runs.run_folder import WEIGHTS as LAST
from reid.errors import UserError
from reid.files import expecting, read_mapping, write_text
from search.folder import CURE, SUMMARY
from supernet.arch import Arch
from supernet.catalog import find_network
from supernet.files import arch_to_dict, load_space, space_to_dict
from supernet.trained.checkpoint import SUPERNET as WEIGHTS
from tools.jobs.bn_calibration import CALIBRATION, calibrated_by
from tools.jobs.experiment import Experiment
from tools.jobs.paths import shown
from tools.jobs.proofs.rank import SCORED_BY
from tools.jobs.proofs.rank_result import RANKING as RANKED
from tools.jobs.results.archs import check_trained, found_there, has_own_file, network_name
from tools.jobs.results.plan.file import PlannedRow, find, supernet_of
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.plan.steps import LATENCY, RANKING, ROW, SEARCH, SUPERNET, Step
from tools.jobs.results.states import AGAIN, is_begun, is_done
from tools.jobs.runs.moved import TEACHER_SHA256
from tools.jobs.runs.provenance import sha256
from tools.jobs.runs.saved_config import read_saved

SETTINGS = "settings.yaml"

SCORING = "scoring"
"""In a ranking's settings: the search settings that its scores and archs depend on."""

_CAME_LATER = {SEARCH: "recipe", RANKING: SCORING, ROW: CALIBRATION}
"""Settings that earlier versions did not record; steps without them are accepted."""


def step_settings(setup: Setup, step: Step) -> dict[str, Any]:
    """Everything except the code that determines the step's outcome, as plain mappings, lists and numbers.

    Raises:
        UserError: an override, a recipe or a network in it is wrong.
    """
    if step.kind == LATENCY:  # measures all networks that are trained
        return {"target": setup.plan.target}
    experiment = setup.experiment(step)
    settings: dict[str, Any] = {
        "data": config_to_dict(experiment.data),
        "input_size": experiment.input_size,
    }
    if step.kind in (SUPERNET, SEARCH, RANKING):
        settings |= {"space": space_to_dict(load_space(experiment.space)), "seed": getattr(step.part, "seed", 0)}
        settings["supernet"] = config_to_dict(experiment.supernet)
        part = find(setup.plan.supernets, getattr(step.part, "supernet", step.part.name), step.name)
        if part.teacher is not None:  # by name, independent of its run's path
            settings["supernet"]["recipe"]["losses"]["distillation"]["teacher"] = f"row {part.teacher}"
    if step.kind == SEARCH:
        settings["search"] = config_to_dict(experiment.search)
        settings["strategy"] = step.part.strategy
        if experiment.search.finalists.count:  # the search trains them by this recipe
            settings["recipe"] = config_to_dict(experiment.retrain)
        if step.part.beside:  # by name, independent of their runs' paths
            settings["beside"] = [f"supernet {name}" for name in step.part.beside]
        if step.part.learn_from is not None:  # by name, independent of its run's path
            settings["search"]["learn_from"] = [f"ranking {step.part.learn_from}"]
    if step.kind == RANKING:
        part = step.part
        settings |= {"n": part.n, "band": part.band, "repeats": part.repeats}
        scoring = config_to_dict(experiment.search)
        settings[SCORING] = {key: scoring[key] for key in SCORED_BY}
    if step.kind in (ROW, RANKING):
        settings["recipe"] = config_to_dict(experiment.retrain)
    if step.kind == ROW:
        settings |= {"seed": step.seed, "network": _network(step.part, experiment)}
        supernet = supernet_of(setup.plan, step.part.row)
        if supernet is not None:  # by name, independent of its run's path
            settings |= {"inherit": f"supernet {supernet.name}", CALIBRATION: calibrated_by(experiment, step.seed)}
        if step.part.row.teacher is not None:  # by name, independent of its run's path
            settings["recipe"]["losses"]["distillation"]["teacher"] = f"row {step.part.row.teacher}"
    # As read back from YAML, where tuples and lists are the same.
    return yaml.safe_load(yaml.safe_dump(settings))


def _network(planned: PlannedRow, experiment: Experiment) -> dict[str, Any]:
    row = planned.row
    change = row.change and {key: value for key, value in vars(row.change).items() if value is not None}
    own: dict[str, Any] = {"change": change}
    if row.found is not None:
        return own | {"found": dataclasses.asdict(row.found)}
    if row.random is not None:
        return own | {"random": dataclasses.asdict(row.random) | {"number": planned.number}}
    size = load_space(experiment.space).input_size
    backbone = find_network(row.network, [], experiment.input_size, size, experiment.last_stride)[0].backbone
    return own | (arch_to_dict(backbone) if isinstance(backbone, Arch) else dataclasses.asdict(backbone))


def check_steps(setup: Setup, steps: Sequence[Step]) -> None:
    """Applies ``check_step`` to each of ``steps``; rewrites the arch file of a finished row if it is missing."""
    for step in steps:
        check_step(setup, step)
        if step.kind == ROW and has_own_file(step.part) and not setup.places.arch(step.part).exists():
            if is_done(setup.places, step) and found_there(setup, step.part):
                network_name(setup, step)


def check_step(setup: Setup, step: Step) -> None:
    """Raises UserError if a finished or begun step has recorded no settings, or others than the plan's. A step that
    failed before writing anything, for example because of a wrong setting, may have any. Writes nothing."""
    now = step_settings(setup, step)
    path = setup.places.record(step) / SETTINGS
    run = shown(setup.places.run(step))
    if not path.is_file():
        if step.kind != LATENCY and (is_done(setup.places, step) or is_begun(setup.places, step)):
            raise UserError(
                f"{step.name}: {run} has no {SETTINGS} in {shown(path.parent)}, so this plan did not make it; remove "
                "it, or give another --out"
            )
        return
    made = [run, *([shown(setup.places.flip(step))] if step.kind == ROW else [])]
    cure = f"restore it, or remove {' and '.join([shown(path.parent), *made])}: the step is then run again"
    then = read_saved(path, cure)
    if (key := _CAME_LATER.get(step.kind)) not in then:
        now.pop(key, None)
    wrong = first_difference(then, now)
    if wrong is not None and step.kind != LATENCY and _has_begun(setup, step):
        raise UserError(
            f"{step.name} was run with other settings ({wrong}); rename it in the plan, or remove {run}, "
            f"{shown(path.parent)} and what was made from it"
        )
    if step.kind == SUPERNET and is_done(setup.places, step):
        _check_taught(setup, step, step.part.teacher, "what was made from it")
    if step.kind in (SEARCH, RANKING) and is_done(setup.places, step):
        _check_scored(setup, step)
    if step.kind == ROW and is_done(setup.places, step):
        _check_inherited(setup, step)
        _check_taught(setup, step, step.part.row.teacher, shown(setup.places.flip(step)))
        if found_there(setup, step.part):
            check_trained(setup, step)


def _has_begun(setup: Setup, step: Step) -> bool:
    """Whether a step has left files in any of its folders."""
    folders = [setup.places.run(step), *([setup.places.flip(step)] if step.kind == ROW else [])]
    return any(folder.is_dir() and any(folder.iterdir()) for folder in folders)


def _check_inherited(setup: Setup, step: Step) -> None:
    """Raises UserError if a finished row started from other weights than the supernet has now."""
    supernet = supernet_of(setup.plan, step.part.row)
    weights = supernet and setup.places.run(Step("", SUPERNET, supernet)) / WEIGHTS
    if supernet is None or not weights.is_file():
        return
    run = setup.places.run(step)
    if read_saved(run / CONFIG).get("supernet_sha256") != sha256(weights):
        raise UserError(
            f"{step.name}: {shown(run)} started with other weights than supernet {supernet.name} has now; remove it "
            f"and {shown(setup.places.flip(step))}"
        )


def _check_scored(setup: Setup, step: Step) -> None:
    """Raises UserError if a finished search or ranking used other weights than its supernets have now; accepts one
    that recorded no digest."""
    names = (step.part.supernet, *getattr(step.part, "beside", ()))
    parts = [find(setup.plan.supernets, each, step.name) for each in names]
    weights = [setup.places.run(Step("", SUPERNET, each)) / WEIGHTS for each in parts]
    run = setup.places.run(step)
    file, cure = (run / SUMMARY, CURE) if step.kind == SEARCH else (run / RANKED, AGAIN)
    made = read_mapping(file, cure)
    with expecting(file, cure):
        told = made.get("run_origin", {}).get("supernet_sha256", ())
        told = made.get("supernet_sha256", {}).values() if step.kind == RANKING else told
        told = [told] if isinstance(told, str) else list(told)
    if told and all(each.is_file() for each in weights) and told != [sha256(each) for each in weights]:
        raise UserError(
            f"{step.name}: {shown(run)} is of other weights than {' and '.join(f'supernet {each}' for each in names)} "
            f"{'has' if len(names) == 1 else 'have'} now; remove it and what was made from it"
        )


def _check_taught(setup: Setup, step: Step, name: str | None, made: str) -> None:
    """Raises UserError if a finished row or supernet was taught by other weights than its teacher, row ``name``, has
    now; accepts one that recorded no digest. ``made`` says what else to remove."""
    teacher = setup.teacher_run(name)
    told = read_saved(setup.places.run(step) / CONFIG).get(TEACHER_SHA256) if teacher is not None else None
    if told is None or not (teacher / LAST).is_file() or told == sha256(teacher / LAST):
        return
    raise UserError(
        f"{step.name}: {shown(setup.places.run(step))} was taught by other weights than row {name} has now; remove it "
        f"and {made}"
    )


def keep_settings(setup: Setup, step: Step) -> Path:
    """Writes the step's settings, before the step begins."""
    text = yaml.safe_dump(step_settings(setup, step), sort_keys=False)
    return write_text(setup.places.record(step) / SETTINGS, text)

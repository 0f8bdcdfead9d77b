"""Checks of a plan, made before its first step runs, so that errors do not appear hours later."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from reid.errors import UserError, nearest
from search.costs import CostTable
from search.flops_words import parse_flops
from search.folder import search_is_finished
from search.latency import parse_target
from search.settings import check_strategy
from supernet.arch import Arch
from supernet.files import load_space
from tools.jobs.results.archs import changed, named_backbone
from tools.jobs.results.plan.file import PlannedRow, find, planned_rows
from tools.jobs.results.plan.published import load_published
from tools.jobs.results.plan.row_parts import Found
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.plan.steps import RANKING, ROW, SEARCH, SUPERNET, Step
from tools.jobs.search.options import check_limits


def check_plan(setup: Setup, steps: Sequence[Step]) -> None:
    """Checks the target, the published rows, the device and each of ``steps``.

    Raises:
        UserError: one of them is invalid. Except for the device, the message names the plan's file, and the step if it
            is about one.
    """
    _check_device(setup.device)
    try:
        if setup.plan.target is not None:
            parse_target(setup.plan.target)
        _check_published(setup)
        costs = CostTable()
        for step in steps:
            try:
                _check_step(setup, step, costs)
            except UserError as error:
                raise UserError(f"{step.name}: {error}") from None
    except UserError as error:
        raise UserError(f"{setup.file}: {error}") from None


def _check_device(name: str) -> None:
    """Like ``pick_device``, but takes no GPU memory, since this process does not work on the GPU."""
    try:
        device = torch.device("cpu" if name == "auto" else name)
    except RuntimeError:
        device = None
    there = {"cpu": 1, "cuda": torch.cuda.device_count()}.get(device.type, 0) if device else 0
    if device is None or (device.index or 0) >= there:
        raise UserError(f"--device {name}: there is no such device on this machine; use auto or cpu")


def _check_published(setup: Setup) -> None:
    file = setup.plan.published
    names = [] if file is None else [row.name for row in load_published(setup.file.parent / file).rows]
    for row in setup.plan.rows:
        if row.published is not None and row.published not in names:
            raise UserError(
                f"rows: {row.name}: no published row is called '{row.published}'{nearest(row.published, names)}"
            )


def _check_step(setup: Setup, step: Step, costs: CostTable) -> None:
    experiment = setup.experiment(step)
    if step.kind == SUPERNET and step.part.teacher is not None:
        _check_knows_no_strangers(setup, step.part.teacher)
    if step.kind == SEARCH:
        check_strategy(step.part.strategy, experiment.search)
        check_limits(load_space(experiment.space).at(experiment.input_size), experiment.search, costs)
    if step.kind == RANKING and step.part.band is not None:
        parse_flops(step.part.band)
    if step.kind == ROW:
        _check_network(setup, step, step.part)
        if step.part.row.found is not None:
            _check_number(setup, step.part.row.found)


def _check_knows_no_strangers(setup: Setup, teacher: str) -> None:
    """Raises UserError if a supernet's teacher is trained on the identities that searches score on."""
    planned = find(planned_rows(setup.plan), teacher, "teacher")
    if setup.experiment(Step(planned.name, ROW, planned)).data.retrain_on_holdout:
        raise UserError(
            f"its teacher {teacher} is also trained on the held-out identities, on which a search scores; set "
            "data.retrain_on_holdout=false for that row"
        )


def _check_number(setup: Setup, found: Found) -> None:
    """Raises UserError if an unfinished search will choose fewer archs than the row's number."""
    step = Step("", SEARCH, find(setup.plan.searches, found.search, "found"))
    chosen = setup.experiment(step).search.top_k
    if found.number > chosen and not search_is_finished(setup.places.run(step)):
        raise UserError(
            f"found: number {found.number}: search {found.search} chooses {chosen} archs; raise search.top_k in its set"
        )


def _check_network(setup: Setup, step: Step, planned: PlannedRow) -> None:
    """Checks a network given by name; what a search will find is not known yet."""
    row = planned.row
    name = row.random.network if row.random is not None else row.network
    if name is None:
        return
    backbone = named_backbone(name, setup.experiment(step))
    if isinstance(backbone, Arch):
        if row.change is not None and changed(backbone, row.change) == backbone:
            raise UserError(
                f"change: {name} already has these values, and would be trained a second time; leave the row out"
            )
    elif row.random is not None or row.change is not None:
        what = "change needs an arch" if row.random is None else "random needs an arch to resemble"
        raise UserError(f"{what}, and {name} is not one; leave it out")

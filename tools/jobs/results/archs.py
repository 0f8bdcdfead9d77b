"""The network that a row trains: a named network, or one written to an arch file for the row."""

from __future__ import annotations

import dataclasses

from reid.errors import UserError
from search.folder import chosen_files, search_is_finished
from supernet.arch import INVERTED_RESIDUAL, AnyStage, Arch
from supernet.catalog import Backbone, find_network
from supernet.files import NamedArch, load_arch, load_space, save_arch
from tools.jobs.experiment import Experiment
from tools.jobs.paths import shown
from tools.jobs.results.drawn import draw
from tools.jobs.results.made_of import spec_of
from tools.jobs.results.plan.file import PlannedRow, find
from tools.jobs.results.plan.row_parts import ArchChange
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.plan.steps import SEARCH, Step


def has_own_file(planned: PlannedRow) -> bool:
    """Whether an arch file is written for the row: its network is found, drawn or changed, not just given by name."""
    row = planned.row
    return row.found is not None or row.random is not None or row.change is not None


def network_name(setup: Setup, step: Step) -> str:
    """The value of ``--arch`` for ``tools/retrain.py``; writes the arch file of a found, drawn or changed network.

    Raises:
        UserError: the network does not exist, the search chose too few archs, too few archs have the FLOPs, or the arch
            file already holds another network.
    """
    if not has_own_file(step.part):
        row = step.part.row
        _, path = _find(row.network, setup.experiment(step))
        return row.network if path is None else shown(path)
    named, path = _named(setup, step), setup.places.arch(step.part)
    if path.exists():
        _check_same(setup, step, named)
    else:
        save_arch(path, named)
    return shown(path)


def _check_same(setup: Setup, step: Step, named: NamedArch) -> None:
    """Raises UserError if the row's arch file holds another network than ``named``."""
    planned, path = step.part, setup.places.arch(step.part)
    if load_arch(path).arch != named.arch:
        runs = [run for seed in planned.row.seeds if (run := setup.places.row_run(planned.name, seed)).exists()]
        raise UserError(
            f"{shown(path)} is another network than {planned.name} is in the plan now; remove "
            f"{' and '.join(shown(each) for each in (path, *runs))}"
        )


def check_trained(setup: Setup, step: Step) -> None:
    """Raises UserError if a finished row with an arch file of its own was trained with another network than the plan's
    current one. Writes nothing."""
    if not has_own_file(step.part):
        return
    named, path, run = _named(setup, step), setup.places.arch(step.part), setup.places.run(step)
    if path.exists():
        _check_same(setup, step, named)
    wanted = named.arch.at(setup.experiment(step).input_size)
    if spec_of(run).backbone != wanted:
        raise UserError(f"{shown(run)} is of another network than {shown(path)}; remove {shown(run)}")


def _named(setup: Setup, step: Step) -> NamedArch:
    """The network of a row that has its own arch file."""
    planned, row = step.part, step.part.row
    if row.found is not None:
        named = _found(setup, row.found.search, row.found.number)
    elif row.random is not None:
        network = row.random.network
        like = named_backbone(network, setup.experiment(step)) if network else _found(setup, row.search, 1).arch
        named = draw(setup, step, like)
    else:
        spec, _ = _find(row.network, setup.experiment(step))
        named = NamedArch(spec.name, spec.backbone, dict(spec.origin))
    if row.change is not None:
        origin = {**named.origin, "changed": dataclasses.asdict(row.change)}
        named = dataclasses.replace(named, arch=changed(named.arch, row.change), origin=origin)
    return dataclasses.replace(named, name=planned.name)


def _find(name: str, experiment: Experiment):
    size = load_space(experiment.space).input_size
    return find_network(name, [], experiment.input_size, size, experiment.last_stride)


def named_backbone(name: str, experiment: Experiment) -> Backbone:
    """The backbone of the network called ``name``; raises UserError if it does not exist."""
    return _find(name, experiment)[0].backbone


def _found(setup: Setup, search: str, number: int) -> NamedArch:
    run = setup.places.run(Step("", SEARCH, find(setup.plan.searches, search, "row")))
    best = chosen_files(run)
    if number > len(best):
        raise UserError(
            f"search {search} chose {len(best)} archs, so there is no number {number}; raise search.top_k, and search "
            "again"
        )
    return load_arch(best[number - 1])


def found_there(setup: Setup, planned: PlannedRow) -> bool:
    """Whether the search that the row's network comes from is finished; true if it comes from none."""
    search = planned.row.search
    if search is None:
        return True
    return search_is_finished(setup.places.run(Step("", SEARCH, find(setup.plan.searches, search, "row"))))


def changed(arch: Arch, change: ArchChange) -> Arch:
    """``arch`` with ``change`` applied.

    Raises:
        UserError: a stage's blocks have no such choice.
    """
    halving = [number for number, stage in enumerate(arch.stages) if stage.stride == 2]
    last = halving[-1] if halving else len(arch.stages)
    return dataclasses.replace(
        arch, stages=tuple(_changed(stage, number, last, change) for number, stage in enumerate(arch.stages))
    )


def _changed(stage: AnyStage, number: int, last: int, change: ArchChange) -> AnyStage:
    """``last``: index of the last stage that halves its map; it and the stages after it have the smallest map."""
    wanted = [name for name in ("se", "ibn", "act") if getattr(change, name) is not None]
    if wanted and stage.kind != INVERTED_RESIDUAL:
        raise UserError(
            f"change: stage {number + 1} is of {stage.kind} blocks, which have no {wanted[0]}; leave it out"
        )
    given: dict = {}
    if change.last_stride is not None and number == last:
        given["stride"] = change.last_stride
    if change.se is not None:
        given["se"] = change.se
    if change.ibn is not None:
        given["ibn"] = change.ibn and number < last and any(block.expand > 1 for block in stage.blocks)
    if change.act is not None:
        given["act"] = change.act
    if change.kernel is not None:
        given["blocks"] = tuple(dataclasses.replace(block, kernel=change.kernel) for block in stage.blocks)
    return dataclasses.replace(stage, **given)

"""The job of ``tools/pipeline.py``: all other jobs in turn, in one folder."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reid.config import config_to_dict
from reid.engine.machine.distributed import from_environment
from reid.engine.recipe.scaling import at_epochs
from reid.engine.runs.run_folder import CONFIG, open_run
from reid.errors import UserError
from reid.numbers import MOST_EPOCHS
from reid.words import counted
from search.arch_files import arch_names
from search.costs import CostTable
from search.folder import chosen_files, search_is_finished
from search.latency import check_available, is_local, open_table, parse_target
from search.limits import Limits, make_region
from search.settings import check_strategy
from supernet.catalog import find_network
from supernet.files import load_space
from supernet.trained.checkpoint import SUPERNET
from tools.jobs.compare import compare
from tools.jobs.data import check_test, open_source
from tools.jobs.evaluate.job import evaluate
from tools.jobs.experiment import Experiment
from tools.jobs.job import Job
from tools.jobs.latency.job import latency_folder
from tools.jobs.runs.ownership import alone_in
from tools.jobs.runs.supernets import PREFIX
from tools.jobs.search.job import search
from tools.jobs.search.options import check_limits, with_options
from tools.jobs.training.finished import complete, is_finished
from tools.jobs.training.retrain import retrain
from tools.jobs.training.train_supernet import train_supernet
from tools.jobs.training.wanted import Retraining
from tools.jobs.words.opening import format_time

STRATEGY = "evolution"
"""Strategy of the search, which needs to find only one arch."""


@dataclass(frozen=True)
class Asked:
    """The request for a pipeline.

    Attributes:
        baselines: networks to retrain beside the found arch, as ``find_network`` takes them; the search's own archs are
            not considered.
        flops, latency, params, target: limits as for ``tools/search.py``; if none is given, the config's.
        finetune_epochs: epochs for training the found arch further from the supernet's weights, as a row beside its
            retraining from scratch; ``None`` for no such row.
    """

    baselines: Sequence[str] = ()
    flops: str | None = None
    latency: str | None = None
    params: str | None = None
    target: str | None = None
    finetune_epochs: int | None = None


def pipeline(job: Job, asked: Asked) -> Path:
    """Trains and searches a supernet, retrains the best arch and the baselines, and compares them; returns the report.

    Two rows of the table are not retrained: the largest arch and the found one with the supernet's own weights. They
    show what the supernet provides by itself. ``asked.finetune_epochs`` adds the found arch trained further from there.

    Raises:
        UserError: it was started by torchrun; the folder holds a pipeline and ``job.resume`` is not set, or one with
            another configuration; or a step raises it.
    """
    if from_environment(job.device).several:
        raise UserError(
            "tools/pipeline.py runs in one process; start it without torchrun, or start its steps under torchrun one "
            "by one"
        )
    with alone_in(job.out):
        return _pipeline(job, asked)


def _pipeline(job: Job, asked: Asked) -> Path:
    wanted = with_options(job, flops=asked.flops, latency=asked.latency, parameters=asked.params, target=asked.target)
    searched = search_is_finished(job.out / "search")
    limits, baselines = _check(wanted.experiment, asked, searched)
    if not (job.out / "supernet" / SUPERNET).exists():
        check_test(open_source(job.experiment.data, job.data))  # needed for the comparison at the end
    given = limits.given() | ({"target": asked.target} if asked.target else {})
    about = {"seed": job.seed, **given, "experiment": config_to_dict(job.experiment)}
    out = open_run(job.out, about, job.resume)
    start = time.monotonic()
    if not (out / "supernet" / SUPERNET).exists():
        _title(1, "supernet", start)
        train_supernet(_step(job, out / "supernet"))
    if not search_is_finished(out / "search"):
        _title(2, "search", start)
        begun = (out / "search" / "search.json").exists()
        search(dataclasses.replace(wanted, out=out / "search", resume=begun), [out / "supernet"], STRATEGY)
    best = chosen_files(out / "search")[0].stem

    _title(3, "retraining", start)
    rows = []
    for name, network in ({best: best} | baselines).items():
        run = out / f"retrain-{name}"
        if is_finished(run):
            complete(run)
        else:
            retrain(_step(job, run), Retraining(network, out / "search"))
        rows.append(run)
    if asked.finetune_epochs is not None:
        rows.append(_train_on(job, out, best, asked.finetune_epochs))
    for name in (best, "largest"):
        run = out / f"inherited-{name}"
        if not is_finished(run):
            own = dataclasses.replace(job, out=run, resume=True)  # it may have been killed between score and result
            evaluate(own, out / "supernet" / SUPERNET, name, out / "search")
        rows.append(run)

    _title(4, "comparison", start)
    return compare(rows, out / "search", out / "compare")


def _check(experiment: Experiment, asked: Asked, searched: bool) -> tuple[Limits, dict[str, str]]:
    """Raises UserError now for what a later step would refuse after hours; returns the limits, and the baselines as
    ``_baselines`` does.

    Unless the search is over (``searched``), a limit on latency needs the target's table, which is measured now if it
    does not exist, rather than after the supernet's training.
    """
    if asked.finetune_epochs is not None and not 1 <= asked.finetune_epochs <= MOST_EPOCHS:
        raise UserError(f"--finetune-epochs {asked.finetune_epochs}: must be from 1 to {MOST_EPOCHS}")
    config = experiment.search
    space = load_space(experiment.space).at(experiment.input_size)
    check_strategy(STRATEGY, config)
    costs = CostTable()
    limits = check_limits(space, config, costs, experiment.space)
    baselines = _baselines(experiment, asked.baselines, limits)
    if config.target is not None and not searched:
        if is_local(config.target):
            check_available(parse_target(config.target))
        if limits.latency_ms is not None:
            sized, called = space.at(config.cost_input_size), experiment.space
            table = open_table(sized, config.target, latency_folder(), costs=costs, called=called)
            make_region(space, limits, config.min_flops_fraction, config.cost_input_size, costs, table.latency)
    return limits, baselines


def _baselines(experiment: Experiment, names: Sequence[str], limits: Limits) -> dict[str, str]:
    """What to retrain for each of ``names``: the path of an arch file (the search's folder may hold another arch of
    that name), or the name of another backbone.

    Raises:
        UserError: there is no such network, or two rows of the table would have the same name.
    """
    own = {name.lower() for name in arch_names(experiment.search, limits)[: experiment.search.top_k]}
    size, taken, networks = load_space(experiment.space).input_size, {}, {}
    for name in names:
        spec, path = find_network(name, [], experiment.input_size, size, experiment.last_stride)
        called = spec.name.lower()
        if called in own:
            raise UserError(
                f"--baselines {name}: this search names an arch of its own {spec.name}; leave the baseline out, or "
                "start another pipeline with --set search.name_prefix=NAME"
            )
        if called in taken:
            raise UserError(f"--baselines {taken[called]} {name}: both are called {spec.name}; name it once")
        taken[called], networks[name] = name, name if path is None else str(path)
    return networks


def _train_on(job: Job, out: Path, name: str, epochs: int) -> Path:
    """Trains the arch ``name`` further from the supernet's weights, for ``epochs`` of the recipe; returns the run."""
    run = out / f"inherited-{name}-{epochs}ep"
    if is_finished(run):
        complete(run)
        return run
    recipe = at_epochs(job.experiment.retrain, epochs)
    own = dataclasses.replace(job, experiment=dataclasses.replace(job.experiment, retrain=recipe))
    label = f"inherited, trained on for {counted(epochs, 'epoch')}"
    retrain(_step(own, run), Retraining(name, out / "search", f"{PREFIX}{out / 'supernet'}", label))
    return run


def _step(job: Job, run: Path) -> Job:
    """The job of one step, which is resumed if it was interrupted."""
    return dataclasses.replace(job, out=run, resume=(run / CONFIG).exists())


def _title(number: int, name: str, start: float) -> None:
    print(f"\n== {number}/4 {name} ({format_time(time.monotonic() - start)} so far) ==", flush=True)

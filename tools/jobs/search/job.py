"""The job of ``tools/search.py``."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from reid.engine.machine.distributed import Processes, from_environment, process_group
from search.asked import Asked
from search.config import SearchConfig
from search.costs import CostTable
from search.folder import SUMMARY
from search.latency import (
    LatencyTable,
    Target,
    describe_error,
    measure_archs,
    open_table,
    prediction_error,
)
from search.means import Means, Measure
from search.result import SearchResult
from search.scoring.committee import Committee
from search.scoring.evaluator import pick_precision
from search.scoring.learned import LearnedEvaluator
from search.settings import check_free, check_strategy
from search.workers import Team
from supernet.arch import Arch
from supernet.files import load_space
from supernet.space import Space
from supernet.trained.checkpoint import SUPERNET
from tools.jobs.bn_calibration import augmented_otherwise
from tools.jobs.data import open_source, search_data
from tools.jobs.job import Job
from tools.jobs.latency.job import latency_folder
from tools.jobs.paths import shown
from tools.jobs.proofs.learning import SupernetScores, learn_from, ranking_file
from tools.jobs.runs.ownership import alone_in, check_owner
from tools.jobs.runs.provenance import commit, sha256
from tools.jobs.runs.supernets import evaluator_of, open_supernet
from tools.jobs.runs.trained_images import check_never_trained_on
from tools.jobs.search.finalists import check_finalists, train_finalists
from tools.jobs.search.held_out import check_strangers, check_teachers, doubts_of_trainings, persons_of
from tools.jobs.search.options import check_limits
from tools.jobs.search.report import write_search_report
from tools.jobs.search.several import check_several
from tools.jobs.search.words import Opened, opening_lines
from tools.jobs.words.opening import announce


def search(job: Job, supernets: Sequence[Path], strategy: str) -> SearchResult | None:
    """Searches one supernet, given by its run folder, or several, whose scores are averaged. Under ``torchrun``, all
    processes except the first return ``None``.

    Raises:
        UserError: the strategy does not suit the config; a supernet is missing, has another space than the config or
            was trained on held-out identities; one is given twice; several are given with ``learn_from``; the limits
            cannot be met in the space; or the folder holds another tool's run.
    """
    check_owner(job.out, own=SUMMARY)
    check_strategy(strategy, job.experiment.search)
    check_several(supernets, job.experiment.search)
    processes = from_environment(job.device)
    check_finalists(job, processes.world_size)
    job = dataclasses.replace(job, device=processes.device)
    # Processes exchange only archs and scores, so they use gloo on CPUs, wherever the networks run.
    with process_group(dataclasses.replace(processes, device=torch.device("cpu"))):
        return _search(job, supernets, strategy, processes)


def _search(job: Job, supernets: Sequence[Path], strategy: str, processes: Processes) -> SearchResult | None:
    team = Team(processes)
    if not processes.is_main:
        team.serve(lambda: _open(job, supernets).evaluator)
        return None
    try:
        return _lead(job, supernets, strategy, team)
    finally:
        team.dismiss()


def _lead(job: Job, supernets: Sequence[Path], strategy: str, team: Team) -> SearchResult:
    check_free(job.out, job.resume)  # before measuring a latency table, which takes minutes
    config = job.experiment.search
    costs = CostTable()
    space = load_space(job.experiment.space).at(job.experiment.input_size)
    limits = check_limits(space, config, costs, job.experiment.space)
    from search.run import run_search  # late, since importing nni takes seconds that errors and --help do not need

    opened = _open(job, supernets)
    checks = [(check, run) for run in supernets for check in (check_strangers, check_teachers)]
    doubts = [check(run, opened.source, job.experiment.data) for check, run in checks]
    if config.finalists.count:
        doubts.append(doubts_of_trainings(job.experiment.retrain, "finalists", opened.source, job.experiment.data))
    for run in supernets:
        check_never_trained_on(run, opened.source.dataset, "held out", opened.images.query, opened.images.gallery)
    opening = opening_lines(job, opened, limits, strategy, supernets, team, [each for each in doubts if each])
    announce(f"searching in {shown(job.out)}", opening)
    latency = _latency_table(job, space.at(config.cost_input_size), costs) if config.target else None
    origin, data = _origin(job, supernets, opened, latency), persons_of(opened.source, job.experiment.data)
    asked = Asked(space, limits, config, strategy, job.seed, origin, data)
    means = Means(
        opened.evaluator,
        costs,
        latency=latency and latency.latency,
        measure=_measure(latency.target) if latency and not latency.device else None,
        judge=train_finalists(job, supernets, opened.images) if config.finalists.count else None,
        report=lambda found: write_search_report(job, found, strategy, opening),
        team=team,
    )
    with alone_in(job.out):
        result = run_search(asked, means, job.out, resume=job.resume)
    if latency and latency.device:
        print(f"note: the found archs' latencies are predicted, not measured: {latency.name} is another machine")
    return result


def _origin(job: Job, supernets: Sequence[Path], opened: Opened, latency: LatencyTable | None) -> dict[str, Any]:
    """What the scores depend on besides the settings, as arch files and the summary record it: values for one supernet,
    lists for several."""
    config, weights = job.experiment.search, [run / SUPERNET for run in supernets]
    names, digests = [shown(each) for each in weights], [sha256(each) for each in weights]
    origin = {
        "supernet": names if len(weights) > 1 else names[0],
        "supernet_sha256": digests if len(weights) > 1 else digests[0],
        "dataset": opened.source.dataset.name,
        "input_size": list(opened.space.input_size),
        **halved(config, job.device),
        **augmented_otherwise(job.experiment),
        "commit": commit(),
    }
    if latency:
        origin["latency_table_sha256"] = sha256(latency.path)
    if latency and latency.device:
        origin["latency_machine"] = latency.device.words
    if config.learn_from:
        origin["learnt_from_sha256"] = [sha256(ranking_file(each)) for each in config.learn_from]
    return origin


def halved(config: SearchConfig, device: torch.device) -> dict[str, str]:
    """The precision of the scores if it is not fp32; ``auto`` may resolve differently on another device."""
    precision = pick_precision(config.precision, device)
    return {} if precision == "fp32" else {"precision": precision}


def _open(job: Job, supernets: Sequence[Path]) -> Opened:
    """Everything that a process needs to evaluate candidates."""
    experiment = job.experiment
    space = load_space(experiment.space).at(experiment.input_size)
    first, *others = [open_supernet(run, space, job.device) for run in supernets]
    source = open_source(experiment.data, job.data, space.input_size)
    images = search_data(source, experiment.data)
    evaluator = evaluator_of(first, images, job)
    if others:
        return Opened(space, source, images, Committee([evaluator, *(evaluator.beside(each) for each in others)]))
    if not experiment.search.learn_from:
        return Opened(space, source, images, evaluator)
    files = [ranking_file(place) for place in experiment.search.learn_from]
    size, costs = experiment.search.cost_input_size, CostTable()

    def flops(arch: Arch) -> int:
        return costs.flops(arch.at(size))

    data = (source.dataset.name, experiment.data)
    scores = SupernetScores(sha256(supernets[0] / SUPERNET), experiment.search.calibration_images)
    predictor = learn_from(files, space, data, scores, flops)
    return Opened(space, source, images, LearnedEvaluator(predictor, flops, evaluator))


def _latency_table(job: Job, space: Space, costs: CostTable) -> LatencyTable:
    """The latency table of the config's target, from the cache or, for a target on this machine, measured now. Prints
    its error."""
    called = job.experiment.space
    table = open_table(space, job.experiment.search.target, latency_folder(), costs=costs, called=called)
    off = describe_error(prediction_error(table, space, costs=costs))
    machine = table.device and f"{table.device.words} (another machine: nothing is measured here)"
    lines = [("note", table.note or None), ("machine", machine), ("table", f"{shown(table.path)}: {off}")]
    announce(f"latency on {table.name}", lines)
    return table


def _measure(target: Target) -> Measure:
    """Measures whole networks on ``target``: the minimum over rounds, which is what the table predicts."""
    measured = functools.partial(measure_archs, target=target, progress=True)
    return lambda archs: [timing.least_ms for timing in measured(archs)]

"""The job of ``tools/gain.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reid.config import config_to_dict
from reid.engine.machine.device import describe_device
from reid.engine.machine.distributed import from_environment
from reid.errors import UserError
from reid.words import counted
from search.costs import CostTable
from search.flops_words import format_flops
from search.gain.analysis import RANDOM
from supernet.files import load_space
from supernet.space.genome import encode
from tools.jobs.data import Source, check_test, open_source
from tools.jobs.job import Job, check_trained
from tools.jobs.paths import shown
from tools.jobs.proofs.contenders import (
    Contender,
    baselines,
    found_archs,
    given_rivals,
    own_files,
    random_rivals,
    save_drawn,
)
from tools.jobs.proofs.gain_result import Measured, write_gain
from tools.jobs.proofs.page_parts import used_settings
from tools.jobs.proofs.rival_limits import RivalLimits, rival_limits
from tools.jobs.proofs.stand_alone import Training, at_one_size, check_resumed, check_trainings, train_missing
from tools.jobs.proofs.ways import Inheriting, check_ways, plan_ways, take_ways
from tools.jobs.runs.ownership import GAIN, alone_in, check_free
from tools.jobs.runs.supernets import open_supernet
from tools.jobs.words.opening import announce
from tools.jobs.words.recipes import recipe_lines

ALONE = "alone"


@dataclass(frozen=True)
class Asked:
    """The request for a measurement.

    Attributes:
        search: run folder of a finished search.
        archs: number of its chosen archs to measure.
        random: number of random archs to draw if ``random_archs`` is empty.
        random_archs: files, or folders, of archs drawn earlier.
        repeats: number of seeds that each network is trained with, starting from the job's.
        random_repeats: the same for random archs; ``None`` for ``repeats``.
        baselines: names of networks.
        alone: folder for the trainings; ``None`` for a subfolder of the job's.
        supernet: run folder of a supernet whose weights the found archs are also tried with; ``None`` for none.
        finetune_epochs: epochs for training inherited weights further; ``None`` for a quarter of the recipe's.
    """

    search: Path
    archs: int = 1
    random: int = 3
    random_archs: Sequence[Path] = ()
    repeats: int = 3
    random_repeats: int | None = None
    baselines: Sequence[str] = ("mobilenetv2",)
    alone: Path | None = None
    supernet: Path | None = None
    finetune_epochs: int | None = None


def gain(jobs: Mapping[str, Job], asked: Asked) -> Path:
    """Trains found archs, random archs of the same FLOPs and baselines alike and reports the differences between them;
    returns ``gain.json``. If any arch file has another input size, all are trained at the size that the search used.

    Args:
        jobs: one per recipe, by its name (empty for the config's own), differing only in ``experiment.retrain``. The
            first one is used to compare ways to weights.

    Raises:
        UserError: the folder holds a gain and ``job.resume`` is not set; the search is unfinished or of another space;
            there are too few random archs within its limits; a baseline is unknown; there is no supernet; or an
            existing training was made with other settings.
    """
    job = next(iter(jobs.values()))
    if from_environment(job.device).several:
        raise UserError("tools/gain.py trains networks in one process; start it without torchrun")
    with alone_in(job.out):
        return _gain(jobs, asked)


def _gain(jobs: Mapping[str, Job], asked: Asked) -> Path:
    files = own_files(asked.search, asked.archs, asked.baselines, asked.random_archs)
    jobs = {name: at_one_size(each, files) for name, each in jobs.items()}
    job = next(iter(jobs.values()))
    check_free(job.out, GAIN, job.resume)
    seldom = asked.repeats if asked.random_repeats is None else asked.random_repeats
    for name, value in (("random", asked.random), ("repeats", asked.repeats), ("random-repeats", seldom)):
        check_trained(f"--{name}", value)
    experiment = job.experiment
    space = load_space(experiment.space).at(experiment.input_size)
    found = found_archs(asked.search, asked.archs, space, job)
    within = RivalLimits()
    if asked.random_archs:
        rivals, band = given_rivals(asked.random_archs, found, space, job)
    else:
        within = rival_limits(asked.search, space.at(experiment.search.cost_input_size), CostTable())
        rivals, band = random_rivals(found, asked.random, space, job, within)
    contenders = [*found, *rivals, *baselines(asked.baselines, space, job)]
    _check_names(contenders)
    folder, seeds = asked.alone or job.out / ALONE, range(job.seed, job.seed + asked.repeats)
    repeats = {each.name: seldom if each.kind == RANDOM else asked.repeats for each in contenders}
    trainings = {recipe: _trainings(contenders, folder / recipe, job.seed, repeats) for recipe in jobs}
    ways = None
    if asked.supernet is not None:
        ways = plan_ways(found, asked.supernet, asked.finetune_epochs, seeds, folder / next(iter(jobs)), job)
        supernet = open_supernet(asked.supernet, space, job.device)
        for each in found:
            encode(supernet.space, each.backbone)
    source = open_source(experiment.data, job.data, space.input_size)
    check_test(source)
    _check_runs(jobs, trainings, ways, source)
    flops = f"{format_flops(band.low)} to {format_flops(band.high)} FLOPs"
    _announce(jobs, folder, source, found, f"archs of {flops}{within.words}", trainings, ways)
    save_drawn(rivals)
    for recipe, own in jobs.items():
        train_missing(trainings[recipe], own)
    if ways is not None:
        take_ways(ways, found, job)
    config = used_settings(experiment, ["cost_input_size"]) | {"retrain": _recipes(jobs)}
    config |= {"random_limits": within.limits.given()} if within.limits else {}
    return write_gain(job.out, Measured(contenders, trainings, ways, band, asked.search, source.dataset.name, config))


def _recipes(jobs: Mapping[str, Job]) -> dict[str, Any]:
    """The recipes by their names; without names, the config's own recipe."""
    recipes = {name: config_to_dict(job.experiment.retrain) for name, job in jobs.items()}
    return recipes.get("", recipes)


def _check_names(contenders: Sequence[Contender]) -> None:
    names = [each.name for each in contenders]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"two networks are called {twice}; rename an arch file, or name other --baselines")


def _trainings(contenders: Sequence[Contender], folder: Path, first: int, repeats: Mapping[str, int]) -> list[Training]:
    """All networks with the ``first`` seed, then with the next, each as often as ``repeats`` states for its name. So
    results for every network are available long before the last training."""
    return [
        Training(each.name, each.backbone, each.file, first + number, folder / f"{each.name}-s{first + number}")
        for number in range(max(repeats.values()))
        for each in contenders
        if number < repeats[each.name]
    ]


def _check_runs(
    jobs: Mapping[str, Job], trainings: Mapping[str, Sequence[Training]], ways: Inheriting | None, source: Source
) -> None:
    """Raises UserError if an existing run was made with other settings, or is unfinished without ``--resume``."""
    first = next(iter(jobs.values()))
    for recipe, job in jobs.items():
        check_trainings(trainings[recipe], job, source.dataset.name)
        check_resumed(trainings[recipe], job)
    if ways is not None:
        check_ways(ways, first, source.dataset.name)
        check_resumed(ways.trainings, first)


def _announce(
    jobs: Mapping[str, Job],
    folder: Path,
    source: Source,
    found: Sequence[Contender],
    rivals: str,
    trainings: Mapping[str, Sequence[Training]],
    ways: Inheriting | None,
) -> None:
    job = next(iter(jobs.values()))
    runs = [training for own in trainings.values() for training in own] + list(ways.trainings if ways else ())
    finished = sum(training.finished for training in runs)
    recipes = [line for each in jobs.values() for line in recipe_lines(each.experiment.retrain)]
    inherited = ways and f"{shown(ways.supernet)}, trained for {counted(ways.epochs, 'epoch')} more"
    announce(
        f"measuring a search's gain in {shown(job.out)}",
        [
            ("note", source.notice),
            ("data", f"{source.name}; scores are on the test set"),
            ("found", ", ".join(each.name for each in found)),
            ("random", rivals),
            *recipes,
            ("inherited", inherited),
            ("trainings", f"{len(runs)}, {finished} of them finished, in {shown(folder)}"),
            ("device", describe_device(job.device)),
        ],
    )

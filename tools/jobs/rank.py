"""The job of ``tools/rank.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reid.engine.device import describe_device
from reid.engine.distributed import from_environment
from reid.errors import UserError
from search.cost import CostTable, parse_flops
from search.ranking.analysis import Alone, RankedArch
from search.ranking.sampling import FEWEST, check_count, find_band, stratified_archs
from supernet.files import NamedArch, load_arch, load_space, save_arch
from supernet.space import Space, describe, encode
from tools.cli import Job
from tools.jobs.calibration import never_trained_on
from tools.jobs.data import SearchData, Source, open_source, search_data
from tools.jobs.data import describe as describe_images
from tools.jobs.opening import announce, recipe_lines, shown
from tools.jobs.provenance import sha256
from tools.jobs.rank_result import write_ranking
from tools.jobs.stand_alone import (
    Training,
    check_resumed,
    check_trainings,
    on_training_identities,
    score_alone,
    train_missing,
)
from tools.jobs.supernet_scores import open_supernet, supernet_scores
from tools.jobs.train_supernet import WEIGHTS

ARCHS, ALONE = "archs", "alone"


@dataclass(frozen=True)
class Asked:
    """What is ranked.

    Attributes:
        supernets: run folders.
        archs: arch files, or folders of them; empty to draw some.
        count: how many are drawn.
        band: FLOPs that they lie around; ``None`` for the whole space.
        within: how far from ``band``, as a share of it.
        repeats: seeds that each is trained with, from the job's on.
        alone: where the stand-alone trainings are; ``None`` for a folder in the job's.
        train: whether missing ones are trained; else the finished ones are made do with.
    """

    supernets: Sequence[Path]
    archs: Sequence[Path] = ()
    count: int = 20
    band: str | None = None
    within: float = 0.05
    repeats: int = 2
    alone: Path | None = None
    train: bool = True


def rank(job: Job, asked: Asked) -> Path:
    """Compares the ranks that supernets give archs with those of stand-alone trainings; returns ``ranking.json``.

    Raises:
        UserError: there is no supernet, or one of another space; an arch is not in the space; there are too few archs,
            or too few with a finished training; a training at hand was made otherwise.
    """
    if from_environment(job.device).several:
        raise UserError("tools/rank.py: archs are ranked by one process; start it without torchrun")
    if asked.repeats < 1:
        raise UserError(f"--repeats {asked.repeats}: must be at least 1")
    job, table = on_training_identities(job), CostTable()
    experiment = job.experiment
    space = load_space(experiment.space).at(experiment.input_size)
    if experiment.search.cost_input_size and space.smaller_sizes:
        raise UserError(f"space {space.name} chooses among input sizes: leave search.cost_input_size out")
    supernets = {shown(run): open_supernet(run, space, job.device) for run in asked.supernets}
    archs = _archs(job, asked, space, table)
    trainings = _trainings(job, asked, archs)
    source = open_source(experiment.data, job.data, space.input_size)
    images = search_data(source, experiment.data)
    check_trainings(trainings, job, source.dataset.name)
    if asked.train:
        check_resumed(trainings, job)
    ready = {each.name for each in trainings if each.finished}
    if not asked.train and len(ready) < FEWEST:
        raise UserError(
            f"{len(ready)} of {len(archs)} archs have a finished stand-alone training in {shown(_folder(job, asked))}, "
            f"and a ranking needs {FEWEST}: let them finish, or leave --no-train out"
        )
    _announce(job, asked, space, source, images, trainings)
    if asked.train:
        for named, file in () if asked.archs else archs:
            save_arch(file, named)
        train_missing(trainings, job)
    alone = score_alone(trainings, images, job)
    kept = [named for named, _ in archs if named.name in alone]
    scores = {label: supernet_scores(label, each, kept, images, job) for label, each in supernets.items()}
    ranked = [_ranked(named, table, job, scores, alone[named.name]) for named in kept]
    digests = {shown(run): sha256(run / WEIGHTS) for run in asked.supernets}
    about = {"dataset": source.dataset.name, "supernet_sha256": digests}
    return write_ranking(job.out, ranked, trainings, job.seed, about)


def _archs(job: Job, asked: Asked, space: Space, table: CostTable) -> list[tuple[NamedArch, Path]]:
    """The archs at the space's input size, each with the file that it is, or will be, in."""
    if asked.archs:
        return _given(asked.archs, space)
    size = job.experiment.search.cost_input_size
    band = find_band(space, None if asked.band is None else parse_flops(asked.band), asked.within, size, table)
    drawn = stratified_archs(space, band, asked.count, job.seed, size, table)
    return [(named, job.out / ARCHS / f"{named.name}.yaml") for named in drawn]


def _given(paths: Sequence[Path], space: Space) -> list[tuple[NamedArch, Path]]:
    files = [file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
    found: dict[str, tuple[NamedArch, Path]] = {}
    for file in files:
        arch = load_arch(file).arch.at(None if space.smaller_sizes else space.input_size)
        try:
            encode(space, arch)
        except UserError as error:
            raise UserError(f"--archs {file}: {error}; a supernet of that space cannot score it") from None
        twin = next((other for named, other in found.values() if named.arch == arch or other.stem == file.stem), None)
        if twin is not None:
            raise UserError(f"--archs {file}: has the name or the network of {twin}; give each arch once")
        found[file.stem] = NamedArch(file.stem, arch), file
    check_count(len(found), "--archs")
    return list(found.values())


def _folder(job: Job, asked: Asked) -> Path:
    return asked.alone or job.out / ALONE


def _trainings(job: Job, asked: Asked, archs: Sequence[tuple[NamedArch, Path]]) -> list[Training]:
    """All archs by the first seed, then by the next: a ranking can be looked at long before the last has finished."""
    folder = _folder(job, asked)
    return [
        Training(named.name, named.arch, file, seed, folder / f"{named.name}-s{seed}")
        for seed in range(job.seed, job.seed + asked.repeats)
        for named, file in archs
    ]


def _announce(
    job: Job, asked: Asked, space: Space, source: Source, images: SearchData, trainings: Sequence[Training]
) -> None:
    held = f"{describe_images(images.query)} as query, {len(images.gallery)} images as gallery"
    finished, data = sum(each.finished for each in trainings), job.experiment.data
    unsure = [run for run in asked.supernets if not never_trained_on(run, source, data, supernet=True)]
    doubt = f"it is not known that {', '.join(map(shown, unsure))} never saw the held-out identities"
    announce(
        f"ranking archs in {shown(job.out)}",
        [
            ("note", source.notice),
            ("note", doubt if unsure else None),
            ("data", f"{source.dataset.name}: {describe_images(images.train)}; held-out identities: {held}"),
            ("", "stand-alone trainings leave the held-out identities out too (data.retrain_on_holdout=false)"),
            ("network", describe(space)),
            ("supernets", ", ".join(map(shown, asked.supernets))),
            *recipe_lines(job.experiment.retrain),
            ("trainings", f"{len(trainings)}, {finished} of them finished, in {shown(_folder(job, asked))}"),
            ("device", describe_device(job.device)),
        ],
    )


def _ranked(
    named: NamedArch,
    table: CostTable,
    job: Job,
    scores: Mapping[str, Mapping[str, float]],
    alone: tuple[Alone, ...],
) -> RankedArch:
    cost = table.cost(named.arch.at(job.experiment.search.cost_input_size))
    supernets = {label: own[named.name] for label, own in scores.items()}
    return RankedArch(named.name, cost.flops, cost.parameters, supernets, alone)

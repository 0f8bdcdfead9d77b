"""The job of ``tools/rank.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from reid.engine.machine.distributed import from_environment
from reid.errors import UserError
from reid.words import counted
from search.costs import CostTable
from search.flops_words import parse_flops
from search.limits.region import check_cost_size
from search.ranking.analysis import Alone, RankedArch
from search.ranking.sampling import FEWEST, check_count, find_band, stratified_archs
from supernet.arch import Arch
from supernet.files import NamedArch, load_space, save_arch
from supernet.space import Space
from supernet.supernet import Supernet
from supernet.trained.checkpoint import SUPERNET
from tools.jobs.data import SearchData, Source, check_test, open_source, search_data
from tools.jobs.job import Job, check_trained
from tools.jobs.paths import shown
from tools.jobs.proofs.given_archs import arch_files, given_archs
from tools.jobs.proofs.learning import IN_RANK, Lessons, SupernetScores, learn_from, ranking_file, with_learnt
from tools.jobs.proofs.page_parts import used_settings
from tools.jobs.proofs.rank_result import write_ranking
from tools.jobs.proofs.rank_ways import compare, contenders, mean_over, plan_all, tuned_label, tuned_scores
from tools.jobs.proofs.rank_words import Asked, announce_ranking
from tools.jobs.proofs.stand_alone import (
    Training,
    at_one_size,
    check_resumed,
    check_trainings,
    on_training_identities,
    score_alone,
    train_missing,
)
from tools.jobs.proofs.ways import Inheriting, check_ways, take_ways
from tools.jobs.runs.ownership import RANKING, alone_in, check_free
from tools.jobs.runs.provenance import sha256
from tools.jobs.runs.supernets import open_supernet, supernet_scores
from tools.jobs.runs.trained_images import check_never_trained_on
from tools.jobs.training.teacher import teacher_sha256

ARCHS = "archs"

SCORED_BY = (
    "cost_input_size",
    "calibration_batches",
    "calibration_batch_size",
    "calibration_images",
    "eval_batch_size",
    "precision",
)
"""Keys of ``search`` that supernets' scores and costs depend on."""


def rank(job: Job, asked: Asked) -> Path:
    """Compares supernets' rankings of archs with stand-alone trainings; returns ``ranking.json``.

    Raises:
        UserError: the folder holds a ranking and ``job.resume`` is not set; a supernet is missing or of another space;
            an arch is not in the space; there are too few archs, or too few with a finished training; an existing
            training was made with other settings; a ranking to learn from is of other data or another space, or has too
            few archs.
    """
    if from_environment(job.device).several:
        raise UserError("tools/rank.py ranks archs in one process; start it without torchrun")
    with alone_in(job.out):
        return _rank(job, asked)


def _rank(job: Job, asked: Asked) -> Path:
    check_free(job.out, RANKING, job.resume)
    for option, count in (("--n", asked.count), ("--repeats", asked.repeats)):
        check_trained(option, count)
    job, table = at_one_size(on_training_identities(job), arch_files(asked.archs)), CostTable()
    experiment = job.experiment
    space = load_space(experiment.space).at(experiment.input_size)
    check_cost_size(space, experiment.search.cost_input_size)
    files = [ranking_file(place, IN_RANK) for place in asked.learn_from]
    supernets = {shown(run): open_supernet(run, space, job.device) for run in asked.supernets}
    archs = _archs(job, asked, space, table)
    trainings = _trainings(job, asked, archs)
    ways = plan_all(asked, archs, job)
    wanted = [*trainings, *(training for each in ways for training in each.trainings)]
    source = open_source(experiment.data, job.data, space.input_size)
    check_test(source)
    images = search_data(source, experiment.data)
    for run in asked.supernets:
        check_never_trained_on(run, source.dataset, "held out", images.query, images.gallery)
    check_trainings(trainings, job, source.dataset.name)
    digests = {shown(run): sha256(run / SUPERNET) for run in asked.supernets}
    lessons = _lessons(files, space, source, digests, job, table, archs) if files else None
    for each in ways:
        check_ways(each, job, source.dataset.name, asked.supernets)
    if asked.train:
        check_resumed(wanted, job)
    ready = _ready(archs, trainings, ways)
    if not asked.train and len(ready) < FEWEST:
        raise UserError(
            f"{len(ready)} of {len(archs)} archs have a finished stand-alone training in {shown(asked.folder(job))}, "
            f"but a ranking needs {FEWEST}; let them finish, or leave --no-train out"
        )
    announce_ranking(job, asked, space, source, images, wanted, ways, lessons)
    if asked.train:
        for named, file in () if asked.archs else archs:
            save_arch(file, named)
        train_missing(trainings, job)
        for each in ways:
            take_ways(each, contenders(archs), job)
        ready = _ready(archs, trainings, ways)
    alone = score_alone([each for each in trainings if each.name in ready], images, job)
    kept = [named for named, _ in archs if named.name in ready]
    scores = _scores(supernets, ways, kept, images, job)
    ranked = with_learnt(space, [_ranked(named, table, job, scores, alone[named.name]) for named in kept])
    if lessons is not None:
        ranked = lessons.told(ranked)
    about = {
        "dataset": source.dataset.name,
        "supernet_sha256": digests,
        "calibration_images": experiment.search.calibration_images,
        **teacher_sha256(experiment.retrain.losses.distillation),
    }
    if files:
        about["learnt_from_sha256"] = {shown(file): sha256(file) for file in files}
    config = used_settings(experiment, SCORED_BY)
    compared = [compare(each, ranked) for each in ways]
    return write_ranking(job.out, ranked, wanted, job.seed, about, compared, config)


def _archs(job: Job, asked: Asked, space: Space, table: CostTable) -> list[tuple[NamedArch, Path]]:
    if asked.archs:
        given = given_archs("--archs", asked.archs, space)
        check_count(len(given), "--archs")
        return given
    size = job.experiment.search.cost_input_size
    band = find_band(space, None if asked.band is None else parse_flops(asked.band), asked.within, size, table)
    drawn = stratified_archs(space, band, asked.count, job.seed, size, table)
    return [(named, job.out / ARCHS / f"{named.name}.yaml") for named in drawn]


def _lessons(
    files: Sequence[Path],
    space: Space,
    source: Source,
    digests: Mapping[str, str],
    job: Job,
    table: CostTable,
    archs: Sequence[tuple[NamedArch, Path]],
) -> Lessons:
    """Fits a predictor to other rankings, with the first supernet's scores; ``digests``: of supernets, by label."""
    label, digest = next(iter(digests.items()))
    own = {named.arch for named, _ in archs}
    search = job.experiment.search
    scores = SupernetScores(digest, search.calibration_images)

    def flops(arch: Arch) -> int:
        return table.flops(arch.at(search.cost_input_size))

    data = (source.dataset.name, job.experiment.data)
    return Lessons(files, learn_from(files, space, data, scores, flops, own, IN_RANK), label)


def _trainings(job: Job, asked: Asked, archs: Sequence[tuple[NamedArch, Path]]) -> list[Training]:
    """All archs with the first seed, then with the next, so that a ranking is possible before the last has finished."""
    folder = asked.folder(job)
    return [
        Training(named.name, named.arch, file, seed, folder / f"{named.name}-s{seed}")
        for seed in range(job.seed, job.seed + asked.repeats)
        for named, file in archs
    ]


def _ready(
    archs: Sequence[tuple[NamedArch, Path]], trainings: Sequence[Training], ways: Sequence[Inheriting]
) -> set[str]:
    """Names of archs with at least one finished stand-alone training and, if requested, all trainings of ``ways``."""
    finished = {each.name for each in trainings if each.finished}
    return {name for named, _ in archs if (name := named.name) in finished and all(way.taken(name) for way in ways)}


def _scores(
    supernets: Mapping[str, Supernet],
    ways: Sequence[Inheriting],
    archs: Sequence[NamedArch],
    images: SearchData,
    job: Job,
) -> dict[str, dict[str, float]]:
    """Scores on the held-out identities by ranker and arch's name. The rankers are each supernet, its weights trained
    further, and the means over several supernets of either."""
    own = {label: supernet_scores(label, each, archs, images, job) for label, each in supernets.items()}
    tuned = {tuned_label(each): tuned_scores(each, archs, images, job) for each in ways}
    scores = {**own, **tuned, **mean_over(own)}
    if ways:
        scores |= mean_over(tuned, f" + {counted(ways[0].epochs, 'epoch')}")
    return scores


def _ranked(
    named: NamedArch,
    table: CostTable,
    job: Job,
    scores: Mapping[str, Mapping[str, float]],
    alone: tuple[Alone, ...],
) -> RankedArch:
    cost = table.cost(named.arch.at(job.experiment.search.cost_input_size))
    supernets = {label: own[named.name] for label, own in scores.items()}
    return RankedArch(named.name, cost.flops, cost.parameters, supernets, alone, arch=named.arch)

"""Stand-alone trainings of several archs with several seeds: finished ones, missing ones, and their scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from evaluation.comparison.row import read_result
from evaluation.features.extraction import evaluate_network
from reid.config import build_config, config_to_dict
from reid.engine.recipe import Recipe
from reid.engine.runs.run_folder import CONFIG, WEIGHTS
from reid.errors import UserError
from reid.files import expecting, read_mapping
from search.ranking.analysis import Alone
from supernet.arch import Arch
from supernet.catalog import Backbone, spec_from_dict
from supernet.files import load_arch, load_space
from supernet.trained.checkpoint import load_network
from tools.jobs.data import SearchData
from tools.jobs.experiment import DataConfig
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.runs.moved import TEACHER_SHA256, where_they_are
from tools.jobs.training.finished import complete, is_finished
from tools.jobs.training.retrain import retrain
from tools.jobs.training.teacher import teacher_sha256
from tools.jobs.training.wanted import Retraining


@dataclass(frozen=True)
class Training:
    """A network to be trained on its own with one seed.

    Attributes:
        name: the arch's, unique among the trainings of one seed.
        arch: at its training input size; or another backbone.
        file: arch file that ``retrain`` reads, or a backbone's name.
        seed: of the training.
        run: its folder, ``<name>-s<seed>``.
    """

    name: str
    arch: Arch | Backbone
    file: Path
    seed: int
    run: Path

    @property
    def finished(self) -> bool:
        """Whether it has weights and a score."""
        return is_finished(self.run)

    @property
    def begun(self) -> bool:
        """Whether it can be resumed."""
        return (self.run / CONFIG).is_file() and not self.finished


def on_training_identities(job: Job) -> Job:
    """The job with held-out identities excluded from stand-alone trainings too, so that these can be scored on them."""
    data = dataclasses.replace(job.experiment.data, retrain_on_holdout=False)
    return dataclasses.replace(job, experiment=dataclasses.replace(job.experiment, data=data))


def at_searched_size(job: Job) -> Job:
    """The job with stand-alone networks trained at the input size at which the search scores archs.

    Arch files of the search have the size at which costs are counted (``cost_input_size`` of ``search``). Without
    ``input_size`` in the config, found archs would be trained at that size and others at the space's.
    """
    experiment = job.experiment
    space = load_space(experiment.space)
    if experiment.input_size or not experiment.search.cost_input_size or space.smaller_sizes:
        return job
    return dataclasses.replace(job, experiment=dataclasses.replace(experiment, input_size=space.input_size))


def at_one_size(job: Job, files: Iterable[Path]) -> Job:
    """The job with all networks at the space's input size, if one of these arch files has another.

    Without ``input_size`` in the config, an arch is trained at its file's size, so the compared networks would see
    different images. Nothing changes if the space itself has several sizes.
    """
    experiment = job.experiment
    space = load_space(experiment.space)
    if experiment.input_size or space.smaller_sizes:
        return job
    if all(load_arch(file).arch.input_size == space.input_size for file in files):
        return job
    return dataclasses.replace(job, experiment=dataclasses.replace(experiment, input_size=space.input_size))


def check_trainings(trainings: Sequence[Training], job: Job, dataset: str) -> None:
    """Raises UserError if a finished run has another arch, seed, recipe, teacher or data than the job would use now. A
    teacher is identified by its weights, wherever they lie; runs that do not record it are accepted.

    How often a training was evaluated on the way does not count, since it changes no weights.
    """
    experiment = job.experiment
    teacher = teacher_sha256(experiment.retrain.losses.distillation)
    for training in trainings:
        if not training.finished:
            continue
        now = _decides(training.arch, training.seed, dataset, None, experiment.data, experiment.retrain) | teacher
        then = teacher | _saved(training.run, teacher | {"recipe": config_to_dict(experiment.retrain)})
        wrong = next((key for key, value in now.items() if then[key] != value), None)
        if wrong is not None:
            drawn = " (where archs are drawn, each depends on how many they are)" if wrong == "network" else ""
            raise UserError(
                f"{shown(training.run)} was trained with other settings than it would be now: {wrong} differs{drawn}; "
                "give the config and the options that it was trained with, or another folder with --alone"
            )


def _decides(
    network: object, seed: int, dataset: str, weights: str | None, data: DataConfig, recipe: Recipe
) -> dict[str, object]:
    """Everything that determines a training's final weights, by the names that users know."""
    recipe = dataclasses.replace(recipe, evaluate_every=0)
    named = {"network": network, "seed": seed, "dataset": dataset, "weights": weights}
    for part, config in (("data", data), ("recipe", recipe)):
        named |= {f"{part}.{key}": value for key, value in config_to_dict(config).items()}
    return named


def _saved(run: Path, now: Mapping[str, object]) -> dict[str, object]:
    """``_decides`` of an existing run, with its teacher's SHA-256 if recorded. Settings added later get their defaults;
    the teacher's path follows ``now`` (``where_they_are``)."""
    file = run / CONFIG
    cure = "if it is of a stand-alone training, restore it, or give another folder with --alone"
    saved = read_mapping(file, cure)
    with expecting(file, cure):
        saved = where_they_are(saved, now)
        data, recipe = (
            build_config(kind, saved[part], f"{file}: {part}")
            for kind, part in ((DataConfig, "data"), (Recipe, "recipe"))
        )
        network = spec_from_dict(saved["network"]).backbone
        teacher = {key: saved[key] for key in (TEACHER_SHA256,) if key in saved}
        return _decides(network, saved["seed"], saved["dataset"], saved["weights"], data, recipe) | teacher


def check_resumed(trainings: Sequence[Training], job: Job) -> None:
    """Raises UserError if a training was interrupted and ``job.resume`` is not set."""
    begun = next((training for training in trainings if training.begun), None)
    if begun is not None and not job.resume:
        raise UserError(f"{shown(begun.run)} contains an unfinished run; continue it with --resume")


def missing(trainings: Sequence[Training]) -> Iterator[tuple[str, Training]]:
    """Unfinished trainings in order, each with words for its start: its number, name and seed. Trainings that another
    process has finished by then are skipped, after ``complete`` has written a missing page."""
    count, number = sum(not training.finished for training in trainings), 0
    for training in trainings:
        if training.finished:
            complete(training.run)
        else:
            number += 1
            yield f"{number} of {count}: {training.name}, seed {training.seed}", training


def train_missing(trainings: Sequence[Training], job: Job) -> None:
    """Trains what is unfinished, in order; interrupted trainings are resumed."""
    for words, training in missing(trainings):
        print(f"stand-alone training {words}")
        own = dataclasses.replace(job, out=training.run, seed=training.seed, resume=training.begun)
        retrain(own, Retraining(str(training.file), training.run / "none"))


def score_alone(trainings: Sequence[Training], images: SearchData, job: Job) -> dict[str, tuple[Alone, ...]]:
    """Scores of all finished trainings by the arch's name, in the order of ``trainings``.

    The test set's score is the one recorded at the training's end. On the held-out identities, the final weights are
    scored here, whether or not the training evaluated them.
    """
    scores: dict[str, tuple[Alone, ...]] = {}
    finished = [training for training in trainings if training.finished]
    for training in tqdm(finished, desc="stand-alone", unit="run"):
        network, spec = load_network(training.run / WEIGHTS, job.device)
        held = evaluate_network(
            network, images.query, images.gallery, spec.input_size, job.device, job.experiment.search.eval_batch_size
        )
        own = Alone(training.seed, read_result(training.run).mAP, held.mAP, shown(training.run))
        scores[training.name] = (*scores.get(training.name, ()), own)
    return scores

"""Ways to an arch's weights: the supernet's unchanged, and the supernet's trained further."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.comparison.row import REMAKE_SCORE, RESULT, SCORE
from evaluation.protocols import Protocol
from reid.config import config_to_dict
from reid.engine.recipe.scaling import at_epochs
from reid.engine.runs.run_folder import CONFIG
from reid.errors import UserError
from reid.files import expecting, read_mapping
from supernet.catalog import spec_from_dict
from supernet.trained.checkpoint import SUPERNET
from tools.jobs.bn_calibration import CALIBRATION, calibrated_by, calibrated_otherwise
from tools.jobs.evaluate.job import Request, evaluate
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.proofs.contenders import Contender
from tools.jobs.proofs.stand_alone import Training, missing
from tools.jobs.runs.moved import SUPERNET_SHA256, where_they_are
from tools.jobs.runs.provenance import sha256
from tools.jobs.runs.saved_config import read_saved
from tools.jobs.runs.supernets import PREFIX
from tools.jobs.training.retrain import retrain
from tools.jobs.training.teacher import teacher_sha256
from tools.jobs.training.wanted import Retraining

SHARE = 4
"""By default, inherited weights are trained for the recipe's epochs divided by this."""


@dataclass(frozen=True)
class Inheriting:
    """Runs that start from a supernet's weights.

    Attributes:
        supernet: its run folder.
        epochs: for which inherited weights are trained further.
        scored: for each arch, the folder in which its inherited weights are scored unchanged.
        trainings: the further trainings, of all archs and seeds.
    """

    supernet: Path
    epochs: int
    scored: dict[str, Path]
    trainings: tuple[Training, ...]

    def runs(self, name: str) -> list[Training]:
        """The further trainings of the arch called ``name``, by seed."""
        return [training for training in self.trainings if training.name == _tuned(name, self.epochs)]

    def taken(self, name: str) -> bool:
        """Whether the arch called ``name`` has been scored and all its further trainings are finished."""
        return (self.scored[name] / RESULT).is_file() and all(training.finished for training in self.runs(name))


def _tuned(name: str, epochs: int) -> str:
    return f"{name}-inherited-{epochs}ep"


def plan_ways(
    archs: Sequence[Contender], supernet: Path, epochs: int | None, seeds: Sequence[int], folder: Path, job: Job
) -> Inheriting:
    """The planned runs below ``folder``; ``epochs=None`` stands for the recipe's divided by ``SHARE``.

    Raises:
        UserError: ``epochs`` is below 1.
    """
    if epochs is not None and epochs < 1:
        raise UserError(f"--finetune-epochs {epochs}: must be at least 1")
    epochs = epochs or max(1, round(job.experiment.retrain.epochs / SHARE))
    scored = {each.name: folder / f"{each.name}-inherited" for each in archs}
    named = {each.name: _tuned(each.name, epochs) for each in archs}
    trainings = tuple(
        Training(named[each.name], each.backbone, each.file, seed, folder / f"{named[each.name]}-s{seed}")
        for seed in seeds
        for each in archs
    )
    return Inheriting(supernet, epochs, scored, trainings)


def check_ways(ways: Inheriting, job: Job, dataset: str, supernets: Sequence[Path] = ()) -> None:
    """Raises UserError if an existing run started from another supernet's weights, or was calibrated or trained with
    other settings. ``supernets`` are all that are ranked; the first one's runs lie where the others have subfolders."""
    digest, job = sha256(ways.supernet / SUPERNET), _tuning(job, ways.epochs)
    others = {sha256(run / SUPERNET): run for run in supernets if run != ways.supernet}
    for run in ways.scored.values():
        if (run / RESULT).is_file():
            _check_scored(run, job, digest, others)
    for training in ways.trainings:
        if training.begun or training.finished:
            _check_tuned(training, job, dataset, digest)


def _check_scored(run: Path, job: Job, digest: str, others: Mapping[str, Path]) -> None:
    with expecting(run / SCORE, REMAKE_SCORE):
        about = read_mapping(run / SCORE, REMAKE_SCORE)["about"]
        scored, kept = about.get("weights_sha256"), about.get(CALIBRATION)
        otherwise = calibrated_otherwise(kept, calibrated_by(job.experiment, job.seed))
    if scored != digest and scored in others:
        first = shown(others[scored])
        raise UserError(
            f"{shown(run)} contains scores of the weights of {first}, because the runs of the supernet that is named "
            f"first are there; name {first} first, or give another folder with --alone"
        )
    if scored != digest:
        raise UserError(f"{shown(run)} contains scores of another supernet's weights; give another folder with --alone")
    if otherwise:
        raise UserError(
            f"{shown(run)} was scored with other settings of BN's calibration: {otherwise}; give the setting that it "
            f"was scored with, or remove {shown(run.parent)}/*-inherited, which are scored again in seconds"
        )


def _check_tuned(training: Training, job: Job, dataset: str, digest: str) -> None:
    experiment = job.experiment
    teacher = teacher_sha256(experiment.retrain.losses.distillation)
    now = {
        SUPERNET_SHA256: digest,
        "dataset": dataset,
        "seed": training.seed,
        "data": config_to_dict(experiment.data),
        "recipe": config_to_dict(experiment.retrain),
        **teacher,
    }
    saved = where_they_are(read_saved(training.run / CONFIG), now)
    then = {key: saved.get(key, teacher.get(key)) for key in now}  # it may not record its teacher
    for one in (then, now):  # the number of evaluations on the way changes no weights
        one["recipe"] = {**(one["recipe"] or {}), "evaluate_every": 0}
    wrong = next((key for key, value in now.items() if then[key] != value), None)
    if wrong is None and spec_from_dict(saved["network"]).backbone != training.arch:
        wrong = "network"
    if wrong is not None:
        raise UserError(
            f"{shown(training.run)} was trained with other settings than it would be now: {wrong} differs; give the "
            "config, --set options and supernet that it was trained with, or another folder with --alone"
        )


def take_ways(ways: Inheriting, archs: Sequence[Contender], job: Job) -> None:
    """Scores and trains what is missing; interrupted trainings are resumed."""
    unscored = Request(protocol=Protocol(verification=False), calibrate="none")
    for contender in archs:
        run = ways.scored[contender.name]
        if not (run / RESULT).is_file():
            own = dataclasses.replace(job, out=run, resume=True)  # it may have been killed between score and result
            evaluate(own, ways.supernet / SUPERNET, str(contender.file), run / "none", unscored)
    job = _tuning(job, ways.epochs)
    for words, training in missing(ways.trainings):
        print(f"training on inherited weights {words}")
        own = dataclasses.replace(job, out=training.run, seed=training.seed, resume=training.begun)
        retrain(own, Retraining(str(training.file), training.run / "none", f"{PREFIX}{ways.supernet}", "inherited"))


def _tuning(job: Job, epochs: int) -> Job:
    recipe = at_epochs(job.experiment.retrain, epochs)
    return dataclasses.replace(job, experiment=dataclasses.replace(job.experiment, retrain=recipe))

"""Trained supernets opened from run folders, networks extracted from them, and their scores of archs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from reid.data.records import ImageSet
from reid.engine.bn_calibration import calibrate
from reid.errors import UserError
from reid.models.network import ReidNetwork
from search.scoring.evaluator import SupernetEvaluator, calibration_batches
from supernet.catalog import NetworkSpec
from supernet.files import NamedArch, space_to_dict
from supernet.space import Space
from supernet.supernet import Supernet
from supernet.trained.checkpoint import SUPERNET, load_supernet
from tools.jobs.data import SearchData
from tools.jobs.job import Job

PREFIX = "supernet:"
"""Prefix of a supernet's run folder where one word names the source of weights, as in a run's configuration."""


def inherited_run(weights: str | None) -> Path | None:
    """The supernet's run folder named in ``weights``; ``None`` if they come from elsewhere."""
    return Path(weights.removeprefix(PREFIX)) if weights and weights.startswith(PREFIX) else None


def open_supernet(run: Path, space: Space, device: torch.device) -> Supernet:
    """The trained supernet in a run folder.

    Raises:
        UserError: it is not trained yet, or its space is not ``space``.
    """
    weights = run / SUPERNET
    if not weights.exists():
        raise UserError(
            f"there is no trained supernet at {weights}; run python tools/train_supernet.py first, or name another "
            "run of it"
        )
    supernet = load_supernet(weights, device)
    if supernet.space != space:
        there, here = space_to_dict(supernet.space), space_to_dict(space)
        key = next(key for key in {**there, **here} if there.get(key) != here.get(key))
        raise UserError(
            f"{weights} is a supernet of another space: {key} is {there.get(key)} there and {here.get(key)} in space "
            f"{space.name}; use the config it was trained with, or train again"
        )
    return supernet


def cut_out(supernet: Supernet, spec: NetworkSpec, images: ImageSet, job: Job) -> ReidNetwork:
    """The stand-alone network of ``spec``'s arch, with BN calibrated on ``images`` as in a search."""
    search, augmentation = job.experiment.search, job.experiment.supernet.recipe.augment
    trained_at = supernet.space.input_size
    batches = calibration_batches(images, spec.input_size, job.device, search, augmentation, job.seed, trained_at)
    return calibrate(supernet.extract(spec.backbone), batches)


def evaluator_of(supernet: Supernet, images: SearchData, job: Job) -> SupernetEvaluator:
    """The evaluator that scores the supernet's archs as configured in the job."""
    experiment = job.experiment
    return SupernetEvaluator(
        supernet,
        images.train,
        images.query,
        images.gallery,
        job.device,
        experiment.search,
        job.seed,
        experiment.supernet.recipe.augment,
    )


def supernet_scores(
    label: str, supernet: Supernet, archs: Sequence[NamedArch], images: SearchData, job: Job
) -> dict[str, float]:
    """mAP on the held-out identities by the arch's name, as a search would score it.

    Raises:
        UserError: a score is not finite.
    """
    evaluate = evaluator_of(supernet, images, job)
    scores = {named.name: evaluate(named.arch)["default"] for named in tqdm(archs, desc=label, unit="arch")}
    failed = next((name for name, score in scores.items() if not math.isfinite(score)), None)
    if failed is not None:
        raise UserError(f"{label} gives arch {failed} no finite score: its training diverged; train it again")
    return scores

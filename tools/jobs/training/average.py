"""The job of ``tools/average.py``: a network with the mean weights of several trainings ("model soup")."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from reid.config import build_config
from reid.data.records import ImageSet
from reid.engine.bn_calibration import calibrate, calibration_images
from reid.engine.recipe import Recipe
from reid.engine.runs.checkpoint import save_weights
from reid.engine.runs.run_folder import CONFIG, WEIGHTS, taken
from reid.errors import UserError
from reid.files import write_text
from reid.models.network import ReidNetwork
from supernet.catalog import NetworkSpec, spec_to_dict
from tools.jobs.data import open_source, retrain_data
from tools.jobs.evaluate.known_training import KnownTraining
from tools.jobs.evaluate.result import Wanted, score_on_test
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.runs.data import on_that_data_alone
from tools.jobs.runs.moved import TEACHER_SHA256
from tools.jobs.runs.ownership import REPLACE, alone_in
from tools.jobs.runs.provenance import sha256
from tools.jobs.runs.saved_config import read_saved
from tools.jobs.runs.strangers import AVERAGED, TEACHER
from tools.jobs.runs.supernets import PREFIX
from tools.jobs.runs.trained_images import check_trained_images, note_trained_images
from tools.jobs.training.members import SAME, Member, TrainingMember, open_members
from tools.jobs.training.retrain_words import THEN
from tools.jobs.words.opening import announce

IMAGES, BATCH = 2048, 64
"""Number of training images that calibrate BN, and batch size, as after SWA (``TrainingBatches.calibration``)."""


def average(job: Job, runs: Sequence[str | Path]) -> Path:
    """Writes the mean of the runs' weights as a network, scores it on the test set and returns the run folder.

    Parameters are averaged in double precision. BN statistics are measured anew on training images of all data sets
    used, augmented by the first run's recipe, except in modules that are identical in all trainings and so were frozen.
    Source: Wortsman et al. 2022, "Model soups"; all members are included, none is selected.

    Args:
        runs: folders of trainings, and names of the zoo's networks; at least one training.

    Raises:
        UserError: see ``open_members`` and ``on_that_data_alone``; also if the data have changed since, or the folder
            holds another run.
    """
    _check_folder(job)
    members = open_members(runs)
    first = next(member for member in members if isinstance(member, TrainingMember))
    job = on_that_data_alone(job, first.run)
    source = open_source(job.experiment.data, job.data, first.spec.input_size)
    images = retrain_data(source, job.experiment.data)
    for member in members:
        if isinstance(member, TrainingMember):
            check_trained_images(member.run, images)
    recipe = build_config(Recipe, first.config["recipe"], str(first.run / CONFIG))
    with alone_in(job.out):
        announce(
            f"averaging {len(members)} trainings in {shown(job.out)}",
            [("weights", member.words) for member in members],
        )
        fixed = alike(members)
        network = mean_network(members).to(job.device)
        batches = (batch.to(job.device) for batch in _calibration(images, first.spec, recipe, job.seed))
        calibrate(network, batches, fixed)
        _write_config(job, members, first)
        note_trained_images(job.out, images)
        save_weights(job.out / WEIGHTS, network, spec_to_dict(first.spec))
        training = KnownTraining(
            trained_on(members),
            epochs=max(member.epochs for member in members),
            seed=job.seed,
            recipe=first.row.recipe,
            notes=(f"mean of the weights of {', '.join(member.words for member in members)}",),
        )
        score_on_test(
            network,
            first.spec,
            [source],
            job.device,
            job.out,
            kind=first.row.kind,
            name=f"{first.spec.name} (mean of {len(members)})",
            training=training,
            wanted=Wanted(page=True),
        )
    return job.out


def mean_network(members: Sequence[Member]) -> ReidNetwork:
    """The first member's network with the mean of all members' parameters; buffers stay the first's."""
    network = members[0].network
    parameters = [dict(member.network.named_parameters()) for member in members]
    with torch.no_grad():
        for name, own in network.named_parameters():
            own.copy_(torch.stack([each[name].double() for each in parameters]).mean(dim=0))
    return network


def alike(members: Sequence[Member]) -> set[nn.Module]:
    """The modules of the first member's network whose parameters and buffers are identical in all members."""
    first, *others = (dict(member.network.named_modules()) for member in members)
    states = {name: module.state_dict() for name, module in first.items()}
    return {
        module
        for name, module in first.items()
        if all(
            torch.equal(value, other[name].state_dict()[key]) for other in others for key, value in states[name].items()
        )
    }


def _calibration(images: ImageSet, spec: NetworkSpec, recipe: Recipe, seed: int):
    return calibration_images(images.images, spec.input_size, recipe.augment, IMAGES, BATCH, seed)


def _check_folder(job: Job) -> None:
    """Raises UserError if ``--out`` holds something else, or an average while ``--replace`` is not given."""
    if not job.out.exists() or not any(job.out.iterdir()):
        return
    saved = read_saved(job.out / CONFIG) if (job.out / CONFIG).is_file() else {}
    if AVERAGED not in saved:
        raise UserError(f"{shown(job.out)} is not empty and contains no average; give another folder with --out")
    if not job.resume:
        raise taken(shown(job.out), "an average of trainings", REPLACE)


def began_with(weights: Sequence[str | None]) -> str | None:
    """What to record as the initial weights of a mean of trainings that started from ``weights``.

    The mean knows every person that any of these weights has seen, so the weights that may have seen most are recorded:
    those of another network, else a supernet's (of the same data), else ImageNet's, else none."""

    def seen(each: str | None) -> int:
        if each is None or each == "imagenet":
            return 0 if each is None else 1
        return 2 if each.startswith(PREFIX) else 3

    return max(weights, key=seen)


def trained_on(members: Sequence[Member]) -> str:
    """A table's description of the mean's training data: the distinct descriptions of the trainings, preceded by zoo
    members that none of these trainings started from. Rows that differ in it are not compared."""
    told = list(dict.fromkeys(member.row.train_set for member in members if isinstance(member, TrainingMember)))
    zoo = [member.name for member in members if not isinstance(member, TrainingMember)]
    begun = [name for name in zoo if not any(words.startswith(f"{name}{THEN}") for words in told)]
    return f"{' and '.join(begun)}{THEN if begun else ''}{'; '.join(told)}"


def _write_config(job: Job, members: Sequence[Member], first: TrainingMember) -> None:
    averaged = [{"run": each.name, "sha256": sha256(each.weights), **_taught_by(each)} for each in members]
    same = {name: first.config.get(name) for name in SAME}
    config = {
        "seed": job.seed,
        **same,
        "weights": began_with([each.began_with for each in members]),
        AVERAGED: averaged,
    }
    write_text(job.out / CONFIG, yaml.safe_dump(config, sort_keys=False))


def _taught_by(member: Member) -> dict[str, Any]:
    """The teachers of a training, from its configuration; empty for the zoo's networks, which do not record them."""
    if not isinstance(member, TrainingMember):
        return {}
    digests = {TEACHER_SHA256: member.config[TEACHER_SHA256]} if TEACHER_SHA256 in member.config else {}
    return {TEACHER: member.config["recipe"]["losses"]["distillation"][TEACHER], **digests}

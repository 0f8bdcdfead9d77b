"""The job of ``tools/average.py``: one network whose weights are the mean of several trainings' ("model soup")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from evaluation.result_row import ResultRow, read_result
from reid.config import build_config
from reid.data.records import ImageSet
from reid.engine.bn_calibration import calibrate, calibration_images
from reid.engine.checkpoint import save_weights
from reid.engine.recipe import Recipe
from reid.engine.run_folder import CONFIG, WEIGHTS, first_difference, taken
from reid.errors import UserError
from reid.files import write_text
from reid.models.network import ReidNetwork
from supernet.catalog import NetworkSpec, spec_to_dict
from supernet.checkpoint import load_network
from tools.jobs.data import open_source, retrain_data
from tools.jobs.evaluate.result import Wanted, score_on_test
from tools.jobs.job import Job
from tools.jobs.opening import announce
from tools.jobs.ownership import REPLACE, alone_in
from tools.jobs.paths import shown
from tools.jobs.provenance import sha256
from tools.jobs.run_data import on_its_data
from tools.jobs.saved_config import read_saved
from tools.jobs.training.inherit import PREFIX

AVERAGED = "averaged"
"""Key of the configuration of such a run: what it is the mean of."""

SAME = ("dataset", "input_size", "data", "network")
"""What trainings must have in common; recipes, lengths and seeds may differ."""

IMAGES, BATCH = 2048, 64
"""BN is calibrated on so many training images, so many at a time, as after SWA (``TrainingBatches.calibration``)."""


@dataclass(frozen=True, eq=False)
class Member:
    """One of the trainings: its folder, its configuration, its row in tables, its network."""

    run: Path
    config: dict[str, Any]
    row: ResultRow
    network: ReidNetwork
    spec: NetworkSpec

    @property
    def words(self) -> str:
        return f"{shown(self.run)} ({self.row.epochs} epochs, seed {self.row.seed})"


def average(job: Job, runs: Sequence[Path]) -> Path:
    """Writes the mean of the runs' weights as a network of its own, scores it on the test set; returns the run folder.

    The mean of parameters is taken in double precision; BN's statistics are measured anew on training images, augmented
    by the first run's recipe. Source: Wortsman et al. 2022, "Model soups"; all members are in it, none is chosen.

    Raises:
        UserError: fewer than two runs, one of them twice, no finished training, or trainings of other networks or data
            than the first's; or the folder holds another run.
    """
    _check_folder(job)
    members = _members(runs)
    first = members[0]
    job = on_its_data(job, first.run)
    source = open_source(job.experiment.data, job.data, first.spec.input_size)
    images = retrain_data(source, job.experiment.data)
    recipe = build_config(Recipe, first.config["recipe"], str(first.run / CONFIG))
    with alone_in(job.out):
        announce(
            f"averaging {len(members)} trainings in {shown(job.out)}",
            [("weights", member.words) for member in members],
        )
        network = mean_network(members).to(job.device)
        calibrate(network, (batch.to(job.device) for batch in _calibration(images, first.spec, recipe, job.seed)))
        _write_config(job, members)
        save_weights(job.out / WEIGHTS, network, spec_to_dict(first.spec))
        score_on_test(
            network,
            first.spec,
            source,
            job.device,
            job.out,
            kind=first.row.kind,
            name=f"{first.spec.name} (mean of {len(members)})",
            epochs=max(member.row.epochs for member in members),
            seed=job.seed,
            train_set=first.row.train_set,
            recipe=first.row.recipe,
            notes=(f"mean of the weights of {', '.join(member.words for member in members)}",),
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


def _calibration(images: ImageSet, spec: NetworkSpec, recipe: Recipe, seed: int):
    return calibration_images(images.images, spec.input_size, recipe.augment, IMAGES, BATCH, seed)


def _members(runs: Sequence[Path]) -> list[Member]:
    if len(runs) < 2:
        raise UserError("name two trainings at least: a mean of one is that one")
    members: list[Member] = []
    for run in runs:
        if any(run.resolve() == other.run.resolve() for other in members):
            raise UserError(f"{shown(run)} is named twice; a mean counts every training once")
        members.append(_member(run))
        difference = first_difference(*(_compared(each.config) for each in (members[0], members[-1])))
        if difference:
            told = difference.replace(" then,", " there,").replace(" now", " here")
            raise UserError(f"{shown(run)} is of another network or data than {shown(runs[0])} ({told}); leave it out")
    return members


def _member(run: Path) -> Member:
    if not (run / CONFIG).is_file():
        raise UserError(f"{shown(run)} is no run of tools/retrain.py; name its folder")
    config = read_saved(run / CONFIG)
    if not isinstance(config.get("recipe"), dict) or not isinstance(config.get("network"), dict):
        raise UserError(f"{shown(run)} is no training of a network; name runs of tools/retrain.py")
    row = read_result(run)
    network, spec = load_network(run / WEIGHTS, torch.device("cpu"))
    return Member(run, config, row, network, spec)


def _compared(config: dict[str, Any]) -> dict[str, Any]:
    kept = {name: config.get(name) for name in SAME}
    # Where an arch came from and what it is called are not the network.
    kept["network"] = {key: value for key, value in kept["network"].items() if key not in ("name", "origin")}
    return kept


def _check_folder(job: Job) -> None:
    """Raises UserError where ``--out`` holds something else, or an average and ``--replace`` is not given."""
    if not job.out.exists() or not any(job.out.iterdir()):
        return
    saved = read_saved(job.out / CONFIG) if (job.out / CONFIG).is_file() else {}
    if AVERAGED not in saved:
        raise UserError(f"{shown(job.out)} is not empty and holds no average; give another folder with --out")
    if not job.resume:
        raise taken(shown(job.out), "an average of trainings", REPLACE)


def began_with(weights: Sequence[str | None]) -> str | None:
    """What a mean of trainings that began with ``weights`` is said to have begun with: it has seen the persons of any
    of them, so another network comes before a supernet (of the same data), that before ImageNet's weights, and these
    before none."""
    return max(
        weights, key=lambda each: 0 if each is None else 1 if each == "imagenet" else 3 - each.startswith(PREFIX)
    )


def _write_config(job: Job, members: Sequence[Member]) -> None:
    first = members[0].config
    averaged = [{"run": shown(each.run), "sha256": sha256(each.run / WEIGHTS)} for each in members]
    weights = began_with([each.config.get("weights") for each in members])
    config = {"seed": job.seed, **{name: first.get(name) for name in SAME}, "weights": weights, AVERAGED: averaged}
    write_text(job.out / CONFIG, yaml.safe_dump(config, sort_keys=False))

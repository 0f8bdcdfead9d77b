"""The members of an average by ``tools/average.py``: trainings of one network, and networks of the zoo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from evaluation.comparison.row import ResultRow, read_result
from reid.engine.runs.run_folder import CONFIG, WEIGHTS, first_difference
from reid.errors import UserError
from reid.models.network import ReidNetwork
from reid.words import counted
from supernet.catalog import NetworkSpec, spec_to_dict
from supernet.trained import runs_in
from supernet.trained.checkpoint import load_network
from supernet.trained.zoo import find_entry, zoo_weights
from tools.jobs.paths import shown
from tools.jobs.runs.saved_config import read_saved

SAME = ("dataset", "input_size", "data", "network")
"""Facts that all trainings must share; recipes, lengths and seeds may differ."""


@dataclass(frozen=True, eq=False)
class Member:
    """One of the networks.

    Attributes:
        name: the run's folder, or the zoo's name.
        weights: file.
        epochs, seed: of the training.
        began_with: what its training began with; for one of the zoo, which does not say, the network itself.
        network, spec: that are in the file.
    """

    name: str
    weights: Path
    epochs: int
    seed: int
    began_with: str | None
    network: ReidNetwork
    spec: NetworkSpec

    @property
    def words(self) -> str:
        return f"{self.name} ({counted(self.epochs, 'epoch')}, seed {self.seed})"


@dataclass(frozen=True, eq=False)
class TrainingMember(Member):
    """One that was trained here: with its folder, its configuration, its row in tables."""

    run: Path
    config: dict[str, Any]
    row: ResultRow


def open_members(given: Sequence[str | Path]) -> list[Member]:
    """The networks of run folders, or of the zoo by their names, in their order.

    One training at least is among them, which says on what persons a mean is calibrated and scored.

    Raises:
        UserError: there are fewer than two, one of them twice, no training, something else, or one of another network
            or data than the first training's.
    """
    if len(given) < 2:
        raise UserError("name two trainings at least: a mean of one is that one")
    members: list[Member] = []
    for each in given:
        member = _training(Path(each)) if Path(each).is_dir() else _of_the_zoo(str(each))
        if any(member.weights.resolve() == other.weights.resolve() for other in members):
            raise UserError(f"{member.name} is named twice; a mean counts every training once")
        members.append(member)
    first = next((member for member in members if isinstance(member, TrainingMember)), None)
    if first is None:
        raise UserError("name one training at least: the zoo does not say on which images a mean is to be calibrated")
    for member in members:
        difference = first_difference(_compared(first), _compared(member, first))
        if difference:
            told = difference.replace(" then,", " there,").replace(" now", " here")
            raise UserError(f"{member.name} is of another network or data than {first.name} ({told}); leave it out")
    return members


def _training(run: Path) -> TrainingMember:
    if not (run / CONFIG).is_file():
        runs = runs_in(run)
        cure = f"name those in it: {', '.join(runs)}" if runs else "name a training's folder"
        raise UserError(f"{shown(run)} is no run of tools/retrain.py; {cure}")
    config = read_saved(run / CONFIG)
    if not isinstance(config.get("recipe"), dict) or not isinstance(config.get("network"), dict):
        raise UserError(f"{shown(run)} is no training of a network; name runs of tools/retrain.py")
    row, weights = read_result(run), run / WEIGHTS
    network, spec = load_network(weights, torch.device("cpu"))
    began = config.get("weights")
    return TrainingMember(shown(run), weights, row.epochs, row.seed, began, network, spec, run, config, row)


def _of_the_zoo(name: str) -> Member:
    if Path(name).is_file():
        raise UserError(f"{name} is a file; name the run folder that it lies in")
    try:
        entry = find_entry(name)
    except UserError as error:
        raise UserError(f"'{name}' is no folder, and in the zoo {error}") from None
    weights = zoo_weights(name)
    network, spec = load_network(weights, torch.device("cpu"))
    return Member(entry.name, weights, entry.epochs, entry.seed, entry.name, network, spec)


def _compared(member: Member, beside: TrainingMember | None = None) -> dict[str, Any]:
    """What must be alike. The persons that one of the zoo was trained on may be others than of the training ``beside``
    it: that went on with it."""
    config = member.config if isinstance(member, TrainingMember) else beside.config
    kept = {name: config.get(name) for name in SAME}
    # Where an arch came from and what it is called are not the network.
    kept["network"] = {key: value for key, value in spec_to_dict(member.spec).items() if key not in ("name", "origin")}
    return kept

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
"""What all trainings must share; recipes, lengths and seeds may differ."""


@dataclass(frozen=True, eq=False)
class Member:
    """A network to average.

    Attributes:
        name: the run's folder, or the zoo's name.
        weights: path of the weights file.
        epochs, seed: of the training.
        began_with: initial weights of its training; for a network of the zoo, which does not record them, its own name.
        network, spec: the contents of the file.
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
    """A network with a training's run folder, its configuration and its row for tables."""

    run: Path
    config: dict[str, Any]
    row: ResultRow


def open_members(given: Sequence[str | Path]) -> list[Member]:
    """The networks of run folders, or of the zoo by their names, in the given order.

    At least one must be a training, whose data the mean is calibrated and scored on.

    Raises:
        UserError: there are fewer than two, one is given twice, none is a training, a name is neither, or one has
            another network or data than the first training.
    """
    if len(given) < 2:
        raise UserError("name at least two trainings: there is no mean of one")
    members: list[Member] = []
    for each in given:
        member = _training(Path(each)) if Path(each).is_dir() else _of_the_zoo(str(each))
        if any(member.weights.resolve() == other.weights.resolve() for other in members):
            raise UserError(f"{member.name} is named twice, but a mean counts every training once; name it once")
        members.append(member)
    first = next((member for member in members if isinstance(member, TrainingMember)), None)
    if first is None:
        raise UserError(
            "name at least one training: networks of the zoo do not say on which images their mean is to be calibrated"
        )
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
        raise UserError(f"{shown(run)} is not a run of tools/retrain.py; {cure}")
    config = read_saved(run / CONFIG)
    if not isinstance(config.get("recipe"), dict) or not isinstance(config.get("network"), dict):
        raise UserError(f"{shown(run)} is not a training of a network; name runs of tools/retrain.py")
    row, weights = read_result(run), run / WEIGHTS
    network, spec = load_network(weights, torch.device("cpu"))
    began = config.get("weights")
    return TrainingMember(shown(run), weights, row.epochs, row.seed, began, network, spec, run, config, row)


def _of_the_zoo(name: str) -> Member:
    if Path(name).is_file():
        raise UserError(f"{name} is a file; name the run folder that it is in")
    try:
        entry = find_entry(name)
    except UserError as error:
        raise UserError(f"'{name}' is not a folder, and in the zoo {error}") from None
    weights = zoo_weights(name)
    network, spec = load_network(weights, torch.device("cpu"))
    return Member(entry.name, weights, entry.epochs, entry.seed, entry.name, network, spec)


def _compared(member: Member, beside: TrainingMember | None = None) -> dict[str, Any]:
    """What must be the same for all. A network of the zoo takes the data of the training ``beside`` it, since that may
    have started from it with other persons."""
    config = member.config if isinstance(member, TrainingMember) else beside.config
    kept = {name: config.get(name) for name in SAME}
    # An arch's origin and name do not matter.
    kept["network"] = {key: value for key, value in spec_to_dict(member.spec).items() if key not in ("name", "origin")}
    return kept

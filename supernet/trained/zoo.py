"""Trained networks that come with the checkout, by name; ``supernet.trained.load_backbone`` loads one.

The zoo is a folder of weights (safetensors) with an index, which records what each network is, how it scored and how it
was made. A file is checked against the SHA-256 in the index before it is read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from reid.config import STRICT, build_config, config_to_dict
from reid.errors import UserError, nearest
from reid.files import read_json, write_json
from reid.numbers import Count, Measured, Share, Whole

FOLDER = Path(__file__).resolve().parents[2] / "weights"
INDEX = "index.json"

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$"


@dataclass(frozen=True, config=STRICT)
class ZooEntry:
    """A trained network.

    Attributes:
        name: what it is loaded by, and its files are named after; see ``is_name``.
        weights: weights file beside the index.
        sha256: of that file.
        arch: arch file beside the index; ``None`` for a backbone that is not an arch.
        input_size: ``(height, width)`` that it was trained at.
        feature_dim: length of its feature vector.
        flops, flops_mlr: FLOPs at that size: fvcore's total, and MLR's count, which includes activations.
        parameters: number of parameters.
        mAP, rank1: fractions, under ``protocol``; ``flip_mAP`` and ``flip_rank1`` with the flip test, where it was run.
        protocol: how it was scored, in words.
        train_set: what it was trained on, in words.
        epochs, seed: of the training.
        licence: what may be done with the weights.
        command, commit: that made it.
    """

    name: Annotated[str, Field(pattern=NAME)]
    weights: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    arch: str | None
    input_size: tuple[Count, Count]
    feature_dim: Count
    flops: Measured
    flops_mlr: Measured
    parameters: Measured
    mAP: Share
    rank1: Share
    flip_mAP: Share | None
    flip_rank1: Share | None
    protocol: str
    train_set: str
    epochs: Whole
    seed: int
    licence: str
    command: str
    commit: str


def is_name(name: str) -> bool:
    """Whether ``name`` is a valid name for a network."""
    return re.fullmatch(NAME, name) is not None


def zoo_entries(folder: Path = FOLDER) -> tuple[ZooEntry, ...]:
    """All entries of the index, in its order; none where there is no index.

    Raises:
        UserError: the index is damaged.
    """
    path = folder / INDEX
    if not path.is_file():
        return ()
    try:
        data = read_json(path)
    except UserError:  # its cure, to remove the file, would lose the index
        data = None
    networks = data.get("networks") if isinstance(data, dict) else None
    if not isinstance(networks, list) or not all(isinstance(entry, dict) for entry in networks):
        raise UserError(f"{path} is not an index of weights; restore it from the repository")
    return tuple(build_config(ZooEntry, entry, f"{path}: entry {number}") for number, entry in enumerate(networks, 1))


def write_index(entries: Sequence[ZooEntry], folder: Path = FOLDER) -> Path:
    """Writes the index, atomically."""
    return write_json(folder / INDEX, {"networks": [config_to_dict(entry) for entry in entries]})


def find_entry(name: str, folder: Path = FOLDER) -> ZooEntry:
    """The entry called ``name`` (case does not matter); raises UserError, with the nearest names, if there is none."""
    entries = {entry.name.lower(): entry for entry in zoo_entries(folder)}
    if name.lower() not in entries:
        names = [entry.name for entry in entries.values()]
        hint = nearest(name, names) or (f"; there are {', '.join(names)}" if names else "; there are none yet")
        raise UserError(f"no weights are called '{name}'{hint}")
    return entries[name.lower()]


def zoo_weights(name: str, folder: Path = FOLDER) -> Path:
    """The weights file of the network called ``name``.

    Raises:
        UserError: no network has that name, or the file is missing or does not match the index.
    """
    entry = find_entry(name, folder)
    path = folder / entry.weights
    if not path.is_file():
        raise UserError(f"the weights of {entry.name} are not at {path}; restore them from the repository")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != entry.sha256:
        raise UserError(
            f"{path} is not the file that the index describes (SHA-256 differs); restore it from the repository"
        )
    return path


def entry_of(path: Path) -> ZooEntry | None:
    """The entry for the weights file at ``path``, from the index beside it; None where there is none."""
    try:
        entries = zoo_entries(path.parent)
    except UserError:  # outside a zoo, a file of the index's name may be anything
        return None
    return next((entry for entry in entries if entry.weights == path.name), None)


def with_entry(entries: Sequence[ZooEntry], new: ZooEntry) -> tuple[ZooEntry, ...]:
    """``entries`` with ``new`` replacing the entry of the same name, or appended."""
    kept = [new if each.name.lower() == new.name.lower() else each for each in entries]
    return tuple(kept) if new in kept else (*kept, new)

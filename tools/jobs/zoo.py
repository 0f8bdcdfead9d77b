"""The job of ``tools/zoo.py``: what is in the zoo, features of images, and a finished run's weights put there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from evaluation.comparison import ResultRow, read_result
from reid.data.augment import prepare
from reid.engine.checkpoint import read_about
from reid.errors import UserError
from reid.files import read_json, write_atomic
from reid.models.network import ReidNetwork, count_parameters
from search.cost import network_counts
from supernet.arch import Arch
from supernet.catalog import NetworkSpec, build, spec_from_dict
from supernet.files import NamedArch, save_arch
from supernet.zoo import FOLDER, ZooEntry, find_entry, load_backbone, with_entry, write_index, zoo_entries
from tools.jobs.opening import shown
from tools.jobs.provenance import sha256
from tools.jobs.result import SCORE, WEIGHTS
from tools.jobs.results.portable import portable

LARGEST = 12 * 2**20
"""Bytes of a file: weights travel with the checkout."""

LICENCES = {
    "market1501": "research only: trained on Market-1501, whose images may be used for academic research",
    "synthetic": "no restriction by its data: trained on images drawn by this project",
}
"""By the data set that a network was trained on alone."""


def zoo_table(folder: Path = FOLDER) -> str:
    """What there is, for a terminal."""
    entries = zoo_entries(folder)
    if not entries:
        return "no weights yet; a finished run's are put here by: python tools/zoo.py add RUN --name NAME"
    lines = [("name", "input", "features", "FLOPs", "params", "mAP", "Rank-1", "trained on")]
    lines += [
        (
            entry.name,
            "{}x{}".format(*entry.input_size),
            str(entry.feature_dim),
            f"{entry.flops / 1e6:.1f}M",
            f"{entry.parameters / 1e6:.2f}M",
            f"{100 * entry.mAP:.1f}",
            f"{100 * entry.rank1:.1f}",
            entry.train_set,
        )
        for entry in entries
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def describe(entry: ZooEntry) -> str:
    """All that the index says of a network, a line each."""
    said = {name: value for name, value in vars(entry).items() if value is not None}
    width = max(map(len, said))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in said.items())


def features_of(name: str, images: Sequence[Path], folder: Path = FOLDER) -> torch.Tensor:
    """``(N, D)`` features of image files by the network called ``name``, of L2 norm 1.

    Raises:
        UserError: there is no such network, or an image is missing or unreadable.
    """
    network, size = load_backbone(name, folder), find_entry(name, folder).input_size
    pixels = torch.cat([prepare(_read(path)[None], size) for path in images])
    with torch.inference_mode():
        return torch.nn.functional.normalize(network(pixels))


def _read(path: Path) -> torch.Tensor:
    try:
        with Image.open(path) as image:
            return torch.from_numpy(np.array(image.convert("RGB")))
    except FileNotFoundError:
        raise UserError(f"--image {path}: does not exist") from None
    except (OSError, UnidentifiedImageError):
        raise UserError(f"--image {path}: is no readable image") from None


def add(run: Path, name: str, flip: Path | None = None, replace: bool = False, folder: Path = FOLDER) -> ZooEntry:
    """Copies the weights of a finished run into the zoo, an arch file beside them, and notes both down.

    Args:
        run: of ``tools/retrain.py``.
        name: what it is to be loaded by.
        flip: run of ``tools/evaluate.py --flip`` of the same network.
        replace: an entry of that name is replaced.

    Raises:
        UserError: the run is not finished, its weights are larger than ``LARGEST``, the name is taken, or ``flip`` is
            another network's or without the flip test.
    """
    row, weights = read_result(run), run / WEIGHTS
    if not weights.is_file():
        raise UserError(f"{run} has no {WEIGHTS}: let the training finish")
    if weights.stat().st_size > LARGEST:
        size = f"{weights.stat().st_size / 2**20:.0f} MiB"
        raise UserError(f"{shown(weights)} has {size}: the zoo takes files of at most {LARGEST // 2**20} MiB")
    entries = zoo_entries(folder)
    if not replace and name.lower() in {entry.name.lower() for entry in entries}:
        raise UserError(f"--name {name}: is taken; add --replace, or give another")
    spec = spec_from_dict(read_about(weights))
    entry = _entry(name, row, spec, weights, _flipped(flip, run), read_json(run / SCORE))
    write_atomic(folder / entry.weights, lambda temporary: shutil.copyfile(weights, temporary) and None)
    if entry.arch is not None:
        save_arch(folder / entry.arch, NamedArch(name, spec.backbone, dict(spec.origin)))
    write_index(with_entry(entries, entry), folder)
    return entry


def _flipped(flip: Path | None, run: Path) -> dict | None:
    if flip is None:
        return None
    score = read_json(flip / SCORE)
    if not score["protocol"]["flip"] or score["about"].get("weights_sha256") != sha256(run / WEIGHTS):
        raise UserError(f"--flip {shown(flip)}: is no evaluation with the flip test of {shown(run)}")
    return score


def _entry(name: str, row: ResultRow, spec: NetworkSpec, weights: Path, flip: dict | None, score: dict) -> ZooEntry:
    network: ReidNetwork = build(spec).eval()
    counts, size = network_counts(network, spec.input_size), spec.input_size
    with torch.inference_mode():
        dim = network(torch.zeros(1, 3, *size)).shape[1]
    is_arch = isinstance(spec.backbone, Arch)
    return ZooEntry(
        name=name,
        weights=f"{name}.safetensors",
        sha256=sha256(weights),
        arch=f"{name}.yaml" if is_arch else None,
        input_size=size,
        feature_dim=dim,
        flops=counts.flops,
        flops_mlr=counts.mlr,
        parameters=count_parameters(network),
        mAP=row.mAP,
        rank1=row.rank1,
        flip_mAP=flip and flip["mAP"],
        flip_rank1=flip and flip["rank1"],
        protocol=f"{row.test_set}; step AP, cosine, last weights, no re-ranking",
        train_set=portable(row.train_set),
        epochs=row.epochs,
        seed=row.seed,
        licence=_licence(row.train_set),
        command=portable(score["command"]),
        commit=score["commit"],
    )


def _licence(train_set: str) -> str:
    """``train_set`` as a result has it: what it began with and the data sets, ``:``, counts."""
    return LICENCES.get(train_set.partition(":")[0], f"not told here: it is that of {portable(train_set)}")

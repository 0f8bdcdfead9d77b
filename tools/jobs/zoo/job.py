"""The job of ``tools/zoo.py``: lists the zoo, computes features of images, and adds a finished run's weights."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from evaluation.comparison.row import ResultRow, read_result
from evaluation.embedder import Embedder
from evaluation.tables import aligned
from reid.engine.runs.run_folder import CONFIG, WEIGHTS
from reid.errors import UserError
from reid.files import write_atomic
from reid.models.network import count_parameters
from reid.words import counted
from search.costs import network_counts
from supernet.arch import Arch
from supernet.catalog import NetworkSpec
from supernet.files import NamedArch, save_arch
from supernet.trained import SUFFIXES
from supernet.trained.checkpoint import load_network, read_spec
from supernet.trained.zoo import FOLDER, ZooEntry, is_name, with_entry, write_index, zoo_entries, zoo_weights
from tools.jobs.embed import embed_files
from tools.jobs.paths import check_folder, shown
from tools.jobs.results.written.portable import portable
from tools.jobs.runs.provenance import sha256
from tools.jobs.zoo.flip import flip_score, score_of
from tools.jobs.zoo.licence import licence_of
from tools.typed import to_type

ADD = "add"
"""Given to ``tools/zoo.py`` in place of a name to add weights."""

LARGEST = 12 * 2**20
"""Largest size of a file in bytes: weights are part of the checkout."""


def zoo_table(folder: Path = FOLDER) -> str:
    """The zoo's networks as a table for a terminal."""
    entries = zoo_entries(folder)
    if not entries:
        return f"no weights yet; add those of a finished run: {to_type('zoo', ADD, 'RUN', '--name', 'NAME')}"
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
    return aligned(lines, words=len(lines[0]))


def markdown_table(folder: Path = FOLDER) -> str:
    """The table of docs/zoo.md; raises UserError if a weights file is missing or does not match the index."""
    head = ["Name", "Trained on", "mAP (step) %", "Rank-1 %", "with flip", "FLOPs (M)", "Params (M)", "File (MB)"]
    lines = [[*head, "SHA-256", "Licence"], ["---", "---", *["---:"] * 6, "---", "---"]]
    for entry in zoo_entries(folder):
        size = zoo_weights(entry.name, folder).stat().st_size
        flip = "-" if entry.flip_mAP is None else f"{100 * entry.flip_mAP:.1f} / {100 * entry.flip_rank1:.1f}"
        scores = [f"{100 * entry.mAP:.1f}", f"{100 * entry.rank1:.1f}", flip]
        costs = [f"{entry.flops / 1e6:.1f}", f"{entry.parameters / 1e6:.2f}", f"{size / 1e6:.1f}"]
        data = f"{entry.train_set}; {counted(entry.epochs, 'epoch')}"
        lines.append([f"`{entry.name}`", data, *scores, *costs, f"`{entry.sha256[:12]}`", entry.licence])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def describe(entry: ZooEntry) -> str:
    """Everything in the index about a network, one line each."""
    said = {name: value for name, value in vars(entry).items() if value is not None}
    width = max(map(len, said))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in said.items())


def features_of(name: str, images: Sequence[Path], folder: Path = FOLDER) -> np.ndarray:
    """``(N, D) float32`` features of image files by the zoo's network ``name``, with L2 norm 1.

    Raises:
        UserError: there is no such network, or an image is missing or unreadable.
    """
    for path in images:
        if not path.is_file():
            raise UserError(f"--image {path}: there is no such file; name images")
    return embed_files(Embedder.open(zoo_weights(name, folder)), images)


def add(run: Path, name: str, flip: Path | None = None, replace: bool = False, folder: Path = FOLDER) -> ZooEntry:
    """Copies a finished run's weights into the zoo, with an arch file if it is an arch, and updates the index.

    Args:
        run: of ``tools/retrain.py``.
        name: by which the network will be loaded.
        flip: run of ``tools/evaluate.py --flip`` on the same network, otherwise scored like the training's end.
        replace: whether to replace an entry of that name.

    Raises:
        UserError: the run is not a finished training, its weights are larger than ``LARGEST`` or cannot be loaded, the
            name is taken or invalid, or see ``flip_score``.
    """
    if not is_name(name) or name == ADD:
        raise UserError(
            f"--name {name}: must consist of letters, digits and ._+-, begin with a letter or digit, and not be '{ADD}'"
        )
    if name.endswith(SUFFIXES) or name == "imagenet":
        raise UserError(f"--name {name}: has another meaning where a network is named; give another")
    check_folder(folder, "--folder")
    row, weights = read_result(run), run / WEIGHTS
    if row.seeds:
        raise UserError(f"{shown(run)} is the mean of {len(row.seeds)} trainings; name one, {shown(run)}/seed-<n>")
    if not weights.is_file() or not (run / CONFIG).is_file():
        raise UserError(f"{shown(run)} is not a finished training; name a run folder of tools/retrain.py")
    if weights.stat().st_size > LARGEST:
        size = f"{weights.stat().st_size / 2**20:.0f} MiB"
        raise UserError(
            f"{shown(weights)} has {size}, but the zoo takes files of at most {LARGEST // 2**20} MiB; add a smaller "
            "network"
        )
    entries = zoo_entries(folder)
    if not replace and name.lower() in {entry.name.lower() for entry in entries}:
        raise UserError(f"--name {name}: is taken; add --replace to replace that network, or give another")
    spec = read_spec(weights)
    licence = licence_of(row.train_set, {entry.name: entry.licence for entry in entries})
    entry = _entry(name, row, spec, weights, flip and flip_score(flip, run), score_of(run), licence)
    write_atomic(folder / entry.weights, lambda temporary: shutil.copyfile(weights, temporary) and None)
    if entry.arch is not None:
        save_arch(folder / entry.arch, NamedArch(name, spec.backbone, dict(spec.origin)))
    write_index(with_entry(entries, entry), folder)
    kept = _files(zoo_entries(folder), folder)
    for file in _files(entries, folder):  # files of a replaced entry; the file system may ignore case
        if not any(file.samefile(other) for other in kept):
            file.unlink()
    return entry


def _files(entries: Sequence[ZooEntry], folder: Path) -> list[Path]:
    """The entries' files that exist."""
    names = [name for entry in entries for name in (entry.weights, entry.arch) if name is not None]
    return [folder / name for name in names if (folder / name).exists()]


def _entry(
    name: str, row: ResultRow, spec: NetworkSpec, weights: Path, flip: dict | None, score: dict, licence: str
) -> ZooEntry:
    network = load_network(weights, torch.device("cpu"))[0].eval()  # a broken network must not replace a sound one
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
        licence=licence,
        command=portable(str(score.get("command", "not told"))),
        commit=str(score.get("commit", "unknown")),
    )

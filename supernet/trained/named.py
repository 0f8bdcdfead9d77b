"""Trained networks as a user names them, by file, run folder or name of the zoo: ``load_backbone("runs/mine")``."""

from __future__ import annotations

from pathlib import Path

import torch

from reid.engine.runs.run_folder import CONFIG, WEIGHTS
from reid.errors import UserError
from reid.models.network import ReidNetwork
from supernet.trained.checkpoint import SUPERNET, cut_out_cure, load_network
from supernet.trained.zoo import FOLDER, find_entry, is_name, zoo_weights

SUFFIXES = (".safetensors", ".onnx", ".npz", ".pth", ".pt")
"""Of files that networks, or what they gave, are read from. Names of the zoo may have dots too: ``OSNet-x0.42-...``."""


def load_backbone(source: str | Path, zoo: Path = FOLDER) -> ReidNetwork:
    """A trained network, plain PyTorch, in eval mode on the CPU: normalised images ``(N, 3, H, W)`` to ``(N, D)``
    features, which are compared by their cosine. ``reid.data.prepare.prepare`` resizes and normalises.

    Args:
        source: a name of the zoo, a run folder, or its weights (``.safetensors``).
        zoo: folder of the zoo's weights.

    Raises:
        UserError: there is no such network, with the nearest names; it is a supernet or damaged; or the file is none
            of PyTorch's.
    """
    path = network_file(source, zoo=zoo)
    if path.suffix in (".onnx", ".npz"):
        raise UserError(f"{path} is no PyTorch network; evaluation.embedder.Embedder.open takes an .onnx file")
    network, _ = load_network(path, torch.device("cpu"))
    return network.eval().requires_grad_(False)


def network_file(source: str | Path, supernet: bool = False, zoo: Path = FOLDER, by_arch: bool = False) -> Path:
    """The file that ``source`` names. What is there at that path comes before a name of the zoo.

    Args:
        source: a file (``.safetensors``, ``.onnx``; whether it is there is left to whoever reads it), a run folder with
            ``last.safetensors``, or a name of the zoo, in any case.
        supernet: of a run folder the supernet, where it has one.
        zoo: the zoo's folder.
        by_arch: whether the caller has an ``--arch`` for a supernet's file: the cure where a folder has that alone.

    Returns:
        The file. The zoo's are compared with the SHA-256 of the index.

    Raises:
        UserError: there is nothing called so, with the nearest names of the zoo; the folder has no network, with what
            to give in its place; or a file of the zoo is missing or is not the index's.
    """
    path = Path(source)
    if path.is_dir():
        return _weights_in(path, supernet, by_arch)
    if path.suffix in SUFFIXES or path.is_file():
        return path
    if not is_name(str(source)):
        raise UserError(f"{source} does not exist; name a run folder, a file of weights, or a network of the zoo")
    try:
        find_entry(str(source), zoo)
    except UserError as error:
        raise UserError(f"'{source}' is no run folder and no file, and in the zoo {error}") from None
    return zoo_weights(str(source), zoo)


def _weights_in(run: Path, supernet: bool, by_arch: bool) -> Path:
    path, whole = run / WEIGHTS, run / SUPERNET
    if supernet and whole.is_file():
        return whole
    if not path.is_file():
        cure = _cure(run)
        if whole.is_file():
            cure = f"give {whole} and --arch NAME" if by_arch else cut_out_cure(whole)
        raise UserError(f"run folder {run} has no {WEIGHTS}; {cure}")
    return path


def _cure(run: Path) -> str:
    """What to do where a folder has no network of its own, by what it has."""
    if runs := runs_in(run):
        return f"give one of the runs in it: {', '.join(runs)}"
    if (run / CONFIG).is_file():
        return "let its training finish"
    if files := sorted(file.name for file in run.glob("*.onnx")):
        return f"give one of its files: {', '.join(files)}"
    if (run / "archs").is_dir():
        return f"it is a search's: train one of its archs (python tools/retrain.py --arch NAME --search {run})"
    return "nothing was trained there; name the run folder of a training"


def runs_in(folder: Path) -> list[str]:
    """Names of the folders in it that have weights, as a pipeline's or that of several seeds."""
    return sorted(file.parent.name for file in folder.glob(f"*/{WEIGHTS}"))

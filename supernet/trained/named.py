"""Trained networks as a user names them, by file, run folder or name in the zoo: ``load_backbone("runs/mine")``."""

from __future__ import annotations

from pathlib import Path

import torch

from reid.engine.runs.run_folder import CONFIG, WEIGHTS
from reid.errors import UserError
from reid.models.network import ReidNetwork
from supernet.trained.checkpoint import SUPERNET, cut_out_cure, load_network
from supernet.trained.zoo import FOLDER, find_entry, is_name, zoo_weights

SUFFIXES = (".safetensors", ".onnx", ".npz", ".pth", ".pt")
"""Suffixes of files of networks or of their outputs. Names in the zoo may have dots too: ``OSNet-x0.42-...``."""


def load_backbone(source: str | Path, zoo: Path = FOLDER) -> ReidNetwork:
    """A trained network, plain PyTorch, in eval mode on the CPU: normalised images ``(N, 3, H, W)`` to ``(N, D)``
    features, which are compared by their cosine. ``reid.data.prepare.prepare`` resizes and normalises.

    Args:
        source: a name in the zoo, a run folder, or its weights (``.safetensors``).
        zoo: folder of the zoo's weights.

    Raises:
        UserError: there is no such network (the nearest names are listed); it is a supernet or damaged; or the file is
            not PyTorch's.
    """
    path = network_file(source, zoo=zoo)
    if path.suffix in (".onnx", ".npz"):
        raise UserError(f"{path} is not a PyTorch network; evaluation.embedder.Embedder.open takes .onnx files")
    network, _ = load_network(path, torch.device("cpu"))
    return network.eval().requires_grad_(False)


def network_file(source: str | Path, supernet: bool = False, zoo: Path = FOLDER, by_arch: bool = False) -> Path:
    """The file that ``source`` names. An existing path takes precedence over a name in the zoo.

    Args:
        source: a file (``.safetensors``, ``.onnx``; its existence is left to the reader to check), a run folder with
            ``last.safetensors``, or a name in the zoo (case does not matter).
        supernet: whether to take a run folder's supernet, where it has one.
        zoo: the zoo's folder.
        by_arch: whether the caller has an ``--arch`` for a supernet's file; it is then the suggested cure where a
            folder has nothing else.

    Returns:
        The file. Files of the zoo are checked against the SHA-256 in the index.

    Raises:
        UserError: nothing has that name (the nearest names in the zoo are listed); the folder has no network (the
            message says what to give instead); or a file of the zoo is missing or does not match the index.
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
        raise UserError(f"'{source}' is neither a run folder nor a file, and in the zoo {error}") from None
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
    """The cure, in words, where a folder has no network of its own; it depends on what the folder does have."""
    if runs := runs_in(run):
        return f"give one of the runs in it: {', '.join(runs)}"
    if (run / CONFIG).is_file():
        return "let its training finish"
    if files := sorted(file.name for file in run.glob("*.onnx")):
        return f"give one of its files: {', '.join(files)}"
    if (run / "archs").is_dir():
        return f"it belongs to a search: train one of its archs (python tools/retrain.py --arch NAME --search {run})"
    return "nothing was trained there; name the run folder of a training"


def runs_in(folder: Path) -> list[str]:
    """Names of the folders in ``folder`` that have weights, such as those of a pipeline or of several seeds."""
    return sorted(file.parent.name for file in folder.glob(f"*/{WEIGHTS}"))

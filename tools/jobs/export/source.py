"""The trained network to export, and images of its training data set."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch

from evaluation.export import FileAbout
from reid.data.decode import decode_image
from reid.data.prepare import resize
from reid.engine.runs.checkpoint import read_about
from reid.engine.runs.run_folder import CONFIG, WEIGHTS
from reid.errors import UserError
from reid.models.network import ReidNetwork, count_parameters
from search.costs import network_flops
from supernet.catalog import NetworkSpec
from supernet.trained import network_file
from supernet.trained.checkpoint import load_network
from supernet.trained.zoo import FOLDER, entry_of
from tools.jobs.data import Source
from tools.jobs.experiment import DataConfig
from tools.jobs.paths import shown
from tools.jobs.runs.data import data_of

CALIBRATION, PROBE = 256, 32
"""Number of training images for int8 ranges, and of others on which embeddings are compared."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network to export.

    Attributes:
        network: on the CPU, in eval mode.
        spec: its description.
        name: base name of its files.
        weights: the safetensors file.
        run: folder of its training, if its configuration is beside the weights.
    """

    network: ReidNetwork
    spec: NetworkSpec
    name: str
    weights: Path
    run: Path | None


def find_trained(source: str, zoo: Path = FOLDER) -> Trained:
    """The network for ``source``: a run folder, a safetensors file, or a name of the zoo.

    Raises:
        UserError: there is none, or it is damaged or a supernet.
    """
    path = Path(source)
    if path.suffix == ".onnx":
        raise UserError(
            f"{source} is already exported; name the run folder or the .safetensors file that it was made from"
        )
    path = network_file(path, supernet=True, zoo=zoo) if not (path / WEIGHTS).is_file() else path / WEIGHTS
    _refuse_supernet(path)
    network, spec = load_network(path, torch.device("cpu"))
    entry = entry_of(path)
    run = path.parent if (path.parent / CONFIG).is_file() else None
    return Trained(network.eval(), spec, entry.name if entry else file_stem(spec), path, run)


def _refuse_supernet(path: Path) -> None:
    if path.suffix == ".safetensors" and path.is_file() and read_about(path).get("kind") == "supernet":
        raise UserError(
            f"{shown(path)} is a supernet, not a network; name a run that has retrained one of its archs, or a folder "
            f"that tools/evaluate.py {shown(path)} --arch NAME has written"
        )


def about_of(network: ReidNetwork, spec: NetworkSpec, pixels: bool, digest: str = "") -> FileAbout:
    """The metadata of a float32 file of ``network``; ``digest`` is its weights' SHA-256, empty for fresh ones."""
    return FileAbout(
        name=spec.name,
        input_size=spec.input_size,
        feature_dim=network.feature_dim,
        flops=network_flops(network, spec.input_size),
        parameters=count_parameters(network),
        weights_sha256=digest,
        pixels=pixels,
    )


def file_stem(spec: NetworkSpec) -> str:
    """The network's name without characters that are unsafe in file names."""
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", spec.name).strip("-.") or "network"


def trained_on(trained: Trained, config: DataConfig) -> DataConfig:
    """The data of its training, as ``data_of`` reads them, or ``config`` without a run.

    Raises:
        UserError: the run's configuration is damaged.
    """
    return config if trained.run is None else data_of(trained.run)


def training_pixels(source: Source, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Training images spread over the data set, ``(N, h, w, 3) uint8`` at ``size``: up to ``CALIBRATION``, and up to
    ``PROBE`` others. Query and gallery are not read.

    Raises:
        UserError: there are fewer than 2 training images, or one is unreadable.
    """
    records = source.dataset.train
    if len(records) < 2:
        raise UserError(f"data set '{source.dataset.name}' has no training images; name another with --data")
    count = min(CALIBRATION + PROBE, len(records))
    chosen = [records[round(place)] for place in torch.linspace(0, len(records) - 1, count).tolist()]
    pixels = torch.cat([resize(torch.from_numpy(decode_image(record.path))[None], size) for record in chosen])
    probe = torch.arange(count) % ((CALIBRATION + PROBE) // PROBE) == 0
    return pixels[~probe], pixels[probe]

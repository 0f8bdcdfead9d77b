"""Baselines that are timed beside an exported network. Their weights are fresh, which changes neither time nor size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from evaluation.export import FileAbout, export_network, quantise
from reid.engine.device import seeded
from reid.models.network import ReidNetwork
from supernet.catalog import NetworkSpec, build, find_network
from tools.cli import Job
from tools.jobs.export_source import PROBE, about_of, file_stem
from tools.jobs.export_table import ExportedFile


def fresh_networks(names: Sequence[str], size: tuple[int, int], job: Job) -> list[tuple[NetworkSpec, ReidNetwork]]:
    """The networks of these names at ``size = (height, width)``, in eval mode, each once.

    Raises:
        UserError: nothing is called so, or a package that one needs is missing.
    """
    specs = [find_network(name, [], size, size, job.experiment.last_stride)[0] for name in dict.fromkeys(names)]
    with seeded(job.seed):
        return [(spec, build(spec).eval()) for spec in specs]


def rival_files(
    spec: NetworkSpec,
    network: ReidNetwork,
    beside: FileAbout,
    pixels: torch.Tensor,
    calibration: torch.Tensor | None,
    folder: Path,
) -> list[ExportedFile]:
    """The files in ``folder`` of one network: with the input of ``beside``, and of int8 too where there are images for
    the ranges.

    Args:
        pixels, calibration: ``(N, h, w, 3) uint8`` of the network's size, to compare embeddings on and for int8.

    Raises:
        UserError: it cannot be exported or quantised.
    """
    about, path = about_of(network, spec, beside.pixels), folder / f"{file_stem(spec)}.onnx"
    found = export_network(network, about, path, {"random": pixels})
    files = [ExportedFile(f"{spec.name} (untrained)", path, about, found)]
    if calibration is not None:
        small = folder / f"{file_stem(spec)}-int8.onnx"
        # Ranges change no time: few images will do. And what int8 costs fresh weights tells nothing of trained ones.
        told = quantise(path, small, about, calibration[:PROBE])
        files.append(ExportedFile(f"{spec.name}-int8 (untrained)", small, told, {}))
    return files

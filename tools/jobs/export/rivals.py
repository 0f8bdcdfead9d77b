"""Baselines with fresh weights, timed beside an exported network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from evaluation.export import export_network, quantise
from reid.data.prepare import prepare
from reid.engine.bn_calibration import calibrate
from reid.engine.machine.device import seeded
from reid.models.network import ReidNetwork
from supernet.catalog import NetworkSpec, build, find_network
from tools.jobs.export.source import about_of, file_stem
from tools.jobs.export.table import ExportedFile
from tools.jobs.job import Job


def fresh_networks(names: Sequence[str], size: tuple[int, int], job: Job) -> list[tuple[NetworkSpec, ReidNetwork]]:
    """The networks of these names at ``size = (height, width)``, in eval mode, without repetition.

    Raises:
        UserError: there is no such network, or a package that one needs is missing.
    """
    specs = [find_network(name, [], size, size, job.experiment.last_stride)[0] for name in dict.fromkeys(names)]
    with seeded(job.seed):
        return [(spec, build(spec).eval()) for spec in specs]


def rival_files(
    spec: NetworkSpec, network: ReidNetwork, pixels: torch.Tensor, preprocess: bool, int8: bool, folder: Path
) -> list[ExportedFile]:
    """Exports a fresh network into ``folder``; its backbone's BN statistics come from ``pixels``.

    Args:
        pixels: ``(N, h, w, 3) uint8`` of the network's size, at least 2; also used for parity and for int8 ranges.
        preprocess: whether the files take pixels.
        int8: whether to write a quantised file too.

    Raises:
        UserError: it cannot be exported or quantised.
    """
    # Without statistics activations vanish layer by layer, and layers with hardly any range are not run in int8.
    calibrate(network.backbone, [prepare(pixels, spec.input_size)])
    about, path = about_of(network, spec, preprocess), folder / f"{file_stem(spec)}.onnx"
    found = export_network(network, about, path, {"random": pixels})
    files = [ExportedFile(f"{spec.name} (untrained)", path, about, found)]
    if int8:
        small = folder / f"{file_stem(spec)}-int8.onnx"
        told = quantise(path, small, about, pixels)
        # No parity: what int8 costs with fresh weights says nothing about trained ones.
        files.append(ExportedFile(f"{spec.name}-int8 (untrained)", small, told, {}))
    return files

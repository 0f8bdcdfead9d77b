"""A small network whose BN has statistics, and exported files of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from evaluation.export import FileAbout, export_network, random_pixels
from reid.models.network import ReidNetwork, count_parameters
from supernet.files import arch_from_rows
from supernet.network import build_network

SIZE = (48, 24)
ROWS = [[1, 8, 1, 1], [3, 12, 2, 2], [4, 16, 2, 2]]


@pytest.fixture(scope="session")
def make_network():
    """Networks of SIZE whose BNs are all different, in eval mode; what is given changes the last stage."""

    def make(**changes) -> ReidNetwork:
        arch = arch_from_rows(ROWS, input_size=SIZE, stem=8, last_width=24)
        arch = replace(arch, stages=(*arch.stages[:-1], replace(arch.stages[-1], **changes)))
        with torch.random.fork_rng():
            torch.manual_seed(1)
            network = build_network(arch)
            for layer in network.modules():
                if isinstance(layer, nn.Conv2d):  # of about the size that BN leaves activations at
                    nn.init.kaiming_normal_(layer.weight, mode="fan_in")
                if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
                    for tensor in (layer.weight.data, layer.running_var):
                        tensor.uniform_(0.5, 1.5)
                    for tensor in (layer.bias.data, layer.running_mean):
                        tensor.normal_(0, 0.3)
        return network.eval()

    return make


@pytest.fixture(scope="session")
def network(make_network) -> ReidNetwork:
    return make_network()


@pytest.fixture(scope="session")
def about_of():
    def about(network: ReidNetwork, pixels: bool = False) -> FileAbout:
        return FileAbout("Small", SIZE, network.feature_dim, 123, count_parameters(network), "ab" * 32, pixels)

    return about


@pytest.fixture(scope="session")
def exported(network, about_of, tmp_path_factory) -> dict[bool, tuple[Path, FileAbout]]:
    """Of ``network``: the file that takes floats, and with True the one that takes pixels."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    root, files = tmp_path_factory.mktemp("exported"), {}
    for pixels in (False, True):
        about, path = about_of(network, pixels), root / f"{pixels}.onnx"
        export_network(network, about, path, {"random": random_pixels(2, SIZE)})
        files[pixels] = path, about
    return files

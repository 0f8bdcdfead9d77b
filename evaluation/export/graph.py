"""A network as an ``.onnx`` file: BN folded, dynamic batch size, normalisation included if requested."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from evaluation.export.about import INPUT, OUTPUT, FileAbout
from evaluation.export.parity import Parity, measure_parity
from evaluation.export.runtime import open_session
from reid.data.prepare import scale_and_shift
from reid.errors import UserError, first_line
from reid.files import write_atomic
from supernet.folding import fold_batch_norm

OPSET = 17
"""ONNX operator set version, of 2022: every runtime in use supports it, and it has hard swish as one operator."""

NORMALISE = "normalise"
"""Prefix of the names of the normalisation's nodes."""


class FromPixels(nn.Module):
    """A network with its normalisation before it: ``(N, h, w, 3) uint8`` pixels of its size to ``(N, D)``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.normalise = _Normalise()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network(self.normalise(pixels))


class _Normalise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        scale, shift = scale_and_shift(1, torch.device("cpu"))
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return (pixels.float() * self.scale + self.shift).permute(0, 3, 1, 2)


def export_network(
    network: nn.Module, about: FileAbout, path: Path, samples: Mapping[str, torch.Tensor]
) -> dict[str, Parity]:
    """Writes ``path``, atomically, if ONNX Runtime gives the embeddings that ``network`` gives in PyTorch.

    The graph has the input ``images`` and the output ``embedding`` ``(N, D) float32``, N open.

    Args:
        network: on the CPU and in eval mode, ``(N, 3, h, w)`` to ``(N, D)``; it is left as it is.
        about: written into the file; ``pixels`` puts the normalisation into the graph.
        samples: ``(N, h, w, 3) uint8`` images of the network's size to compare on, by a name for messages.

    Returns:
        The comparison on each of the samples.

    Raises:
        UserError: the exporter does not know a layer, or the embeddings differ by more than ``parity`` allows; nothing
            is left of the file then.
    """
    found: dict[str, Parity] = {}

    def write(temporary: Path) -> None:
        _write_graph(network, about, temporary)
        session = open_session(temporary)
        for words, pixels in samples.items():
            found[words] = measure_parity(network, session, pixels, about)
            found[words].check(f"{about.name} on {words} images")

    write_atomic(path, write)
    return found


def _write_graph(network: nn.Module, about: FileAbout, path: Path) -> None:
    import onnx

    folded = fold_batch_norm(copy.deepcopy(network))
    height, width = about.input_size
    if about.pixels:
        folded, example = FromPixels(folded).eval(), torch.zeros(2, height, width, 3, dtype=torch.uint8)
    else:
        example = torch.zeros(2, 3, height, width)
    axes = {INPUT: {0: "batch"}, OUTPUT: {0: "batch"}}
    names = {"input_names": [INPUT], "output_names": [OUTPUT], "dynamic_axes": axes}
    with warnings.catch_warnings(), torch.no_grad():  # this exporter is deprecated; the other needs a further package
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(folded, (example,), str(path), dynamo=False, opset_version=OPSET, **names)
        except torch.onnx.OnnxExporterError as error:
            raise UserError(
                f"{about.name} cannot be exported ({first_line(error)}); export a network without that layer"
            ) from None
    model = onnx.load(path)
    set_metadata(model, about)
    onnx.save(model, path)


def set_metadata(model, about: FileAbout) -> None:
    """Replaces the metadata of an ``onnx.ModelProto`` with ``about``."""
    import onnx

    onnx.helper.set_model_props(model, about.to_metadata())

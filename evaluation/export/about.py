"""Description of an exported file in ONNX's own metadata: a table of strings that any runtime can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reid.data.prepare import IMAGENET_MEAN, IMAGENET_STD
from reid.errors import UserError

INPUT, OUTPUT = "images", "embedding"
"""Names in the graph."""

_IN_GRAPH = "in the graph: images are uint8 RGB pixels (N, height, width, 3)"
_OUTSIDE = "before the graph: images are float32 RGB (N, 3, height, width), (pixel / 255 - mean) / std"


@dataclass(frozen=True)
class FileAbout:
    """Attributes:
    name: of the network.
    input_size: ``(height, width)`` in pixels.
    feature_dim: length of an embedding.
    flops: fvcore's total of the network for one image of that size, as everywhere here.
    parameters: of the network, before its BN was folded.
    weights_sha256: of the safetensors file that it was made of; empty for fresh weights.
    pixels: the input is uint8 pixels, which the graph normalises.
    precision: of the convolutions.
    """

    name: str
    input_size: tuple[int, int]
    feature_dim: int
    flops: int
    parameters: int
    weights_sha256: str
    pixels: bool = False
    precision: Literal["fp32", "int8"] = "fp32"

    def to_metadata(self) -> dict[str, str]:
        """As strings for the file; ``from_metadata`` reads back an equal value."""
        return {
            "name": self.name,
            "input_size": "{}x{}".format(*self.input_size),
            "feature_dim": str(self.feature_dim),
            "flops": str(self.flops),
            "parameters": str(self.parameters),
            "weights_sha256": self.weights_sha256,
            "precision": self.precision,
            "preprocessing": _IN_GRAPH if self.pixels else _OUTSIDE,
            "mean": " ".join(map(str, IMAGENET_MEAN)),
            "std": " ".join(map(str, IMAGENET_STD)),
            "compare_by": "cosine",
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], path: Path) -> FileAbout:
        """Reads ``to_metadata``'s strings; raises UserError, naming ``path``, if they are not from one of our files."""
        try:
            height, width = map(int, metadata["input_size"].split("x"))
            return cls(
                metadata["name"],
                (height, width),
                int(metadata["feature_dim"]),
                int(metadata["flops"]),
                int(metadata["parameters"]),
                metadata["weights_sha256"],
                {_IN_GRAPH: True, _OUTSIDE: False}[metadata["preprocessing"]],
                {"fp32": "fp32", "int8": "int8"}[metadata["precision"]],
            )
        except (KeyError, ValueError):
            raise UserError(
                f"{path} does not say what network it is: it was not written by tools/export.py; export the network "
                "again"
            ) from None

"""ONNX Runtime on one CPU thread, and the check that the optional packages are installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from evaluation.export.about import INPUT, FileAbout
from reid.data.prepare import prepare
from reid.errors import UserError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

NEEDED = ("onnx", "onnxruntime")
"""Packages of the extra "export"; only the export needs them."""


def check_installed() -> None:
    """Raises UserError, which says what to install, if a package is missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"exporting needs {' and '.join(missing)}: pip install {' '.join(NEEDED)}")


def open_session(path: Path, threads: int = 1) -> InferenceSession:
    """A session of the file on ``threads`` CPU threads, with the runtime's default optimisations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def feed_of(pixels: torch.Tensor, about: FileAbout) -> dict[str, np.ndarray]:
    """``(N, h, w, 3) uint8`` pixels as the file's input: unchanged, or normalised as ``(N, 3, h, w) float32``."""
    values = pixels if about.pixels else prepare(pixels, about.input_size)
    return {INPUT: np.ascontiguousarray(values.numpy())}

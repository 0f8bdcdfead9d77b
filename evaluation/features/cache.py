"""Cached features: the same network is not run on the same images twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from evaluation.features.extraction import extract_features
from reid.data.records import ImageSet
from reid.files import write_atomic

VERSION = 1
"""Incremented when the same network and images would give different features."""


def network_fingerprint(network: nn.Module, about: Mapping[str, Any]) -> str:
    """SHA-256 of a network's weights and buffers, and of ``about`` (JSON), which holds properties that no weight shows,
    such as strides."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def images_fingerprint(images: ImageSet) -> str:
    """SHA-256 of the decoded pixels, without the labels; takes about a second per GB."""
    digest = hashlib.sha256(str(tuple(images.images.shape)).encode())
    for block in images.images.split(256):
        digest.update(block.contiguous().numpy())
    return digest.hexdigest()


def cached_features(
    cache: Path,
    fingerprint: str,
    network: nn.Module,
    images: ImageSet,
    size: tuple[int, int],
    device: torch.device | str,
    *,
    flip: bool = False,
    precision: str = "fp32",
    progress: bool = False,
) -> torch.Tensor:
    """``extract_features``, read from a file in ``cache`` if they were computed before.

    A file's name is made from all that the features depend on: ``fingerprint`` (the network's), pixels, size, flip and
    precision. A damaged file is made again; any file may be removed.

    Raises:
        UserError: as ``extract_features``.
    """
    key = json.dumps([VERSION, fingerprint, images_fingerprint(images), size, flip, precision])
    path = cache / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npy"
    kept = _read(path, len(images))
    if kept is not None:
        return kept
    features = extract_features(network, images, size, device, flip=flip, precision=precision, progress=progress)
    write_atomic(path, partial(np.save, arr=features.numpy(), allow_pickle=False))
    return features


def _read(path: Path, count: int) -> torch.Tensor | None:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):  # missing or cut short
        return None
    usable = isinstance(values, np.ndarray) and values.ndim == 2 and values.dtype == np.float32
    return torch.from_numpy(values) if usable and len(values) == count else None

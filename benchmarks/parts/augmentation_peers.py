"""Common augmentation pipelines, image by image on decoded PIL images: torchvision's transforms, and torchreid's."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import torch
from PIL import Image
from torchvision import transforms as tv

from benchmarks.parts.torchreid_files import load_file, torchreid_file
from reid.data.prepare import IMAGENET_MEAN, IMAGENET_STD

Pipeline = Callable[[Image.Image], torch.Tensor]


def augmentation_peers(folder: Path | None) -> dict[str, Callable[[tuple[int, int]], Pipeline]]:
    """By name, functions that make the pipeline for images of ``(height, width)``; torchreid's if ``folder`` is a
    checkout of it, or it is installed."""
    peers: dict[str, Callable[[tuple[int, int]], Pipeline]] = {"torchvision": _torchvision}
    if (file := torchreid_file(folder, "data/transforms.py")) is not None:
        peers["torchreid"] = partial(_torchreid, load_file(file, "torchreid_transforms"))
    return peers


def _torchvision(size: tuple[int, int]) -> Pipeline:
    return tv.Compose(
        [
            tv.Resize(size),
            tv.RandomHorizontalFlip(),
            tv.Pad(10),
            tv.RandomCrop(size),
            tv.ToTensor(),
            tv.Normalize(IMAGENET_MEAN, IMAGENET_STD),
            tv.RandomErasing(p=0.5, scale=(0.02, 0.4), ratio=(0.3, 1 / 0.3)),
        ]
    )


def _torchreid(module: ModuleType, size: tuple[int, int]) -> Pipeline:
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it makes
        return module.build_transforms(*size, transforms=["random_flip", "random_crop", "random_erase"])[0]

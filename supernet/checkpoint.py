"""A trained supernet on disk: its weights, and in the header the space that they are of."""

from __future__ import annotations

from pathlib import Path

import torch

from reid.engine.checkpoint import load_weights, read_about, save_weights
from reid.errors import UserError
from supernet.files import space_from_dict, space_to_dict
from supernet.supernet import Supernet


def save_supernet(path: Path, supernet: Supernet) -> Path:
    """Writes the weights as safetensors, atomically."""
    about = {"kind": "supernet", "space": space_to_dict(supernet.space)}
    return save_weights(path, supernet, about | {"kernel_transforms": supernet.kernel_transforms})


def load_supernet(path: Path, device: torch.device) -> Supernet:
    """The supernet in a file that ``save_supernet`` wrote.

    Raises:
        UserError: the file is missing, unreadable, or holds another kind of network.
    """
    about = read_about(path)
    if about.get("kind") != "supernet":
        raise UserError(f"{path} holds a network of kind '{about.get('kind')}', not a supernet")
    supernet = Supernet(space_from_dict(about["space"]), about.get("kernel_transforms", False))
    load_weights(path, supernet)
    return supernet.to(device)

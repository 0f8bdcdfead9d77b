"""Checkpoints of trained networks and supernets: weights, with the network's spec or the supernet's space as header."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from reid.engine.runs.checkpoint import load_weights, read_about, save_weights
from reid.errors import UserError
from reid.files import RESTORE, expecting
from reid.models.network import ReidNetwork
from supernet.catalog import NetworkSpec, build, spec_from_dict
from supernet.files import space_from_dict, space_to_dict
from supernet.sharing import Sharing
from supernet.supernet import Supernet

SUPERNET = "supernet.safetensors"
"""File name of the supernet in a run of ``tools/train_supernet.py``."""


def cut_out_cure(whole: Path) -> str:
    """The cure, in words, where a network is needed and ``whole`` holds a supernet."""
    return f"it belongs to a supernet: give a folder that python tools/evaluate.py {whole} --arch NAME has written"


def read_spec(path: Path) -> NetworkSpec:
    """The spec of the network in a checkpoint; raises UserError as ``load_network`` does."""
    about = read_about(path)
    if about.get("kind") == "supernet":
        raise UserError(f"checkpoint {path} of kind 'supernet' is not a network; {cut_out_cure(path)}")
    with expecting(path):
        return spec_from_dict(about)


def load_network(path: Path, device: torch.device) -> tuple[ReidNetwork, NetworkSpec]:
    """The network in a checkpoint, on ``device``, and its spec.

    Raises:
        UserError: the file is missing, unreadable, or holds a supernet, or weights that are NaN or infinite.
    """
    spec = read_spec(path)
    network = build(spec)
    _load_finite(path, network)
    return network.to(device), spec


def _load_finite(path: Path, network: nn.Module) -> None:
    load_weights(path, network)
    for name, value in network.state_dict().items():
        if not torch.isfinite(value).all():
            raise UserError(
                f"checkpoint {path} contains NaN or infinite weights ({name}): its training diverged; train it again"
            )


def save_supernet(path: Path, supernet: Supernet) -> Path:
    """Writes the weights as safetensors, atomically."""
    about = {"kind": "supernet", "space": space_to_dict(supernet.space)}
    sharing = supernet.sharing
    return save_weights(
        path, supernet, about | {"kernel_transforms": sharing.kernel_transforms, "depth_sharing": sharing.depth}
    )


def load_supernet(path: Path, device: torch.device) -> Supernet:
    """The supernet in a file that ``save_supernet`` wrote.

    Raises:
        UserError: the file is missing, unreadable, or holds another kind of network, or weights that are NaN or
            infinite.
    """
    about = read_about(path)
    if about.get("kind") != "supernet":
        raise UserError(
            f"{path} contains a network of kind '{about.get('kind')}', not a supernet; name a run of "
            "tools/train_supernet.py"
        )
    # Files written before either could be chosen have neither key.
    sharing = Sharing(about.get("kernel_transforms", False), about.get("depth_sharing", "first"))
    try:
        space = space_from_dict(about["space"])
    except (UserError, KeyError, TypeError) as error:
        raise UserError(
            f"checkpoint {path} does not say which space its supernet belongs to ({error}); {RESTORE}"
        ) from None
    supernet = Supernet(space, sharing)
    _load_finite(path, supernet)
    return supernet.to(device)

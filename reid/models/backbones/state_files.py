"""Weights from a local file, whatever tool wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from reid.errors import UserError
from reid.out_of_memory import no_memory


def check_is_there(path: Path) -> None:
    """Raises UserError if ``path`` is not a file."""
    if not path.is_file():
        raise UserError(f"weights {path}: there is no such file; give 'imagenet', or a .safetensors or .pth file")


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors by name of a ``.safetensors`` file or of one that ``torch.save`` wrote; nothing in it is executed.

    Raises:
        UserError: the file is missing or damaged, holds more than tensors and plain values, or has no state dict.
    """
    check_is_there(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # for damaged bytes the readers raise anything from KeyError to AssertionError
        if no_memory(error):  # not the file's fault
            raise
        if "GLOBAL" in str(error):  # torch's word for a class or function that the file wants to call
            raise UserError(
                f"weights {path} contain Python objects besides tensors; save the state dict alone:"
                " torch.save(network.state_dict(), path)"
            ) from None
        raise UserError(
            f"weights {path} are not a readable file of tensors; it may be cut off or of another kind: give a "
            ".safetensors or .pth file"
        ) from None
    return _state_of(data, path)


def _state_of(data: Any, path: Path) -> dict[str, Tensor]:
    for key in ("state_dict", "model"):
        if isinstance(data, Mapping) and isinstance(data.get(key), Mapping):
            data = data[key]
    tensors = {}
    if isinstance(data, Mapping):
        tensors = {name: value for name, value in data.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if not tensors:
        raise UserError(
            f"weights {path}: there is no state dict in it, neither at the top nor as 'state_dict' or 'model'; save "
            "one there"
        )
    return tensors

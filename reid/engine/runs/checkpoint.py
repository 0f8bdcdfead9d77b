"""Checkpoints: weights as safetensors, and the state from which a training resumes."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from reid.errors import UserError
from reid.files import write_atomic
from reid.out_of_memory import no_memory


def save_weights(path: Path, module: nn.Module, about: dict[str, Any]) -> Path:
    """Writes ``module``'s state as safetensors, atomically; ``about`` (JSON) describes the network and is stored in the
    header."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    metadata = {"about": json.dumps(about)}
    return write_atomic(path, lambda temporary: _write_tensors(temporary, state, metadata))


def _write_tensors(path: Path, state: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    """``save_file``, but with system errors such as a full disk as Python's OSError: safetensors only mentions their
    number in its message."""
    try:
        save_file(state, path, metadata)
    except SafetensorError as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def read_about(path: Path) -> dict[str, Any]:
    """The ``about`` that ``save_weights`` wrote into the header.

    Raises:
        UserError: the file is missing, is not a safetensors file, or was not written by ``save_weights``.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = (file.metadata() or {}).get("about")
    except FileNotFoundError:
        raise UserError(f"checkpoint {path} does not exist") from None
    except (SafetensorError, OSError) as error:
        cure = (
            "it may be cut off; restore it from a copy"
            if path.suffix == ".safetensors"
            else "name a run folder, or its last.safetensors"
        )
        raise UserError(f"checkpoint {path} is not a readable safetensors file ({error}); {cure}") from None
    if about is None:
        raise UserError(
            f"checkpoint {path} does not say what network it is: it was not written by these tools; name one that was"
        )
    try:
        read = json.loads(about)
    except json.JSONDecodeError:
        read = None
    if not isinstance(read, dict):
        raise UserError(
            f"checkpoint {path} has a damaged header, which does not say what network it is; restore it from a copy"
        )
    return read


def load_weights(path: Path, module: nn.Module) -> None:
    """Reads weights into ``module``.

    Raises:
        UserError: the weights are of another network; the message names the first difference in name or shape.
    """
    read_about(path)
    state, own = load_file(path), module.state_dict()
    for name in sorted(set(state) | set(own)):
        theirs, ours = state.get(name), own.get(name)
        if theirs is None or ours is None or theirs.shape != ours.shape:
            there = "missing" if theirs is None else tuple(theirs.shape)
            here = "missing" if ours is None else tuple(ours.shape)
            raise UserError(
                f"checkpoint {path} is of another network: {name} is {there} in it and {here} in this network"
            )
    module.load_state_dict(state)


def save_state(path: Path, state: dict[str, Any]) -> Path:
    """Writes a training's state (tensors, numbers, lists, dicts), atomically."""
    return write_atomic(path, lambda temporary: _write_state(temporary, state))


def _write_state(path: Path, state: dict[str, Any]) -> None:
    """``torch.save`` into a file opened by Python. If torch opens it, a full disk is a RuntimeError that does not
    mention the disk; here, the system's own error comes first."""
    try:
        with path.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())  # before it replaces the previous one, so that one of the two is always complete
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def load_state(path: Path, cure: str = "remove it to train from the start") -> dict[str, Any]:
    """Reads what ``save_state`` wrote, onto the CPU: the caller copies the state to its own device, which may have no
    room for a second copy. Nothing in the file is executed.

    Raises:
        UserError: the file is damaged or was not written by ``save_state``; the message ends with ``cure``.
        MemoryError, RuntimeError: there is no room for it (``no_memory``).
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's errors for foreign files have no common class
        if no_memory(error):  # no fault of the file
            raise
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # EINVAL: torch's own, for a truncated file
            raise UserError(f"checkpoint {path} cannot be read: {error.strerror}") from None
        state = None
    if not isinstance(state, dict):
        raise UserError(f"{path} is not a readable checkpoint; {cure}")
    return state

"""The device of a job, and the precision of its network."""

from __future__ import annotations

import contextlib

import torch

from reid.errors import UserError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""The precisions of a forward pass, by their names in recipes and options."""


def pick_device(name: str) -> torch.device:
    """The device called ``name``: ``auto`` is CUDA if available, else the CPU; other names are torch's own (``cpu``,
    ``cuda``, ``cuda:1``).

    Raises:
        UserError: the device is unknown or not available.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).item()  # read back, since "meta" is a device too but holds no numbers
    except (RuntimeError, AssertionError, NotImplementedError, ImportError):
        raise UserError(f"--device {name}: there is no such device on this machine; use auto or cpu") from None
    return device


def describe_device(device: torch.device) -> str:
    """A description for the start of a job's output: the GPU's name, or the number of CPU threads."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.get_num_threads()} threads)"


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """The context for a network's forward pass in a recipe's ``precision``."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[precision])


@contextlib.contextmanager
def seeded(seed: int):
    """A context in which torch's global generator depends only on ``seed``; outside, it is not affected."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield

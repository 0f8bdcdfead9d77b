"""The device a job runs on, and the precision its network runs in."""

from __future__ import annotations

import contextlib

import torch

from reid.errors import UserError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""The precisions that a forward pass can run in, by the names that recipes and options have for them."""


def pick_device(name: str) -> torch.device:
    """``auto`` takes CUDA where it is there, else the CPU; any other name is torch's own (``cpu``, ``cuda``,
    ``cuda:1``).

    Raises:
        UserError: the device is unknown or not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).item()  # read back: "meta" is a device too, but holds no numbers
    except (RuntimeError, AssertionError, NotImplementedError, ImportError):
        raise UserError(f"--device {name}: not there on this machine; use auto or cpu") from None
    return device


def describe_device(device: torch.device) -> str:
    """For a job's opening: the GPU's name, or the number of CPU threads."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.get_num_threads()} threads)"


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """The context that a network's forward pass runs in for a recipe's ``precision``."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[precision])


@contextlib.contextmanager
def seeded(seed: int):
    """Draws from torch's global generator inside the block depend on ``seed`` alone; outside nothing changes."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield

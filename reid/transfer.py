"""Small tensors on their way from the CPU to the device that trains."""

from __future__ import annotations

import torch


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A CPU tensor on ``device``, without waiting for the device; on the CPU the tensor itself.

    CUDA copies from ordinary memory only when all that was queued before is done, and the host waits for that. From
    page-locked memory it copies in its turn while the host goes on. torch keeps such a buffer until its copy is over
    and then hands it out again, so that a step allocates none.
    """
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)

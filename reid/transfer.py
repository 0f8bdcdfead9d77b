"""Transfer of small tensors from the CPU to the training device."""

from __future__ import annotations

import torch


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A CPU tensor on ``device``, without waiting for the device; on the CPU the tensor itself.

    CUDA copies from ordinary memory only when all previously queued work is done, and the host waits for that. From
    page-locked memory it copies in order while the host continues. torch keeps such a buffer until its copy is done
    and then reuses it, so that a step allocates none.
    """
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)

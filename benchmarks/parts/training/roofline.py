"""Share of a device's peak speed that a network's training reaches; for ``training.py``."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn

from reid.engine.machine.device import DTYPES
from search.costs.fvcore_counts import conv_linear_macs


def timed(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of ``run``, including the work that it queued on the device."""
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def print_roofline(network: nn.Module, images: torch.Tensor, seconds: float, precision: str) -> None:
    """Prints the speed of a 2048 x 2048 product, of the largest 1x1 convolution that ``images`` lead to, and of the
    network, whose forward and backward pass on ``images`` take ``seconds``."""
    device, dtype = images.device, DTYPES[precision]
    square = torch.randn(2048, 2048, device=device).to(dtype)
    product = 2 * 2048**3 / _best(lambda: square @ square, device) / 1e9
    layer, x = _largest_1x1(network, images)
    layer, x = layer.to(dtype), x.to(dtype)
    with torch.no_grad():
        convolution = 2 * layer.weight.numel() * x.numel() / x.shape[1] / _best(lambda: layer(x), device) / 1e9
    speed = 3 * 2 * conv_linear_macs(network, tuple(images.shape[2:])) * len(images) / seconds / 1e9
    print(f"  device                 {product:8.1f} GFLOP/s product, {convolution:.1f} largest 1x1 convolution")
    print(
        f"  network                {speed:8.1f} GFLOP/s: {speed / product:.0%} and {speed / convolution:.0%} of these"
    )


def _largest_1x1(network: nn.Module, images: torch.Tensor) -> tuple[nn.Conv2d, torch.Tensor]:
    """A copy, at stride 1, of the 1x1 convolution with the most multiply-adds, and its input."""
    seen: list[tuple[int, nn.Conv2d, torch.Tensor]] = []

    def look(layer: nn.Conv2d, inputs: tuple[torch.Tensor]) -> None:
        work = layer.weight.numel() * inputs[0].numel() // inputs[0].shape[1]
        seen.append((work, layer, inputs[0].detach()))

    dense = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d) and layer.groups == 1]
    hooks = [layer.register_forward_pre_hook(look) for layer in dense if layer.kernel_size == (1, 1)]
    with torch.no_grad():
        network.outputs(images)
    for hook in hooks:
        hook.remove()
    _, layer, x = max(seen, key=lambda each: each[0])
    copy = nn.Conv2d(layer.in_channels, layer.out_channels, 1, bias=False, device=x.device)
    return copy.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)


def _best(run: Callable[[], object], device: torch.device) -> float:
    return min(timed(run, device) for _ in range(5))

"""BN calibration: the running statistics of a network, measured on training images with its weights fixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import torch
from torch import nn

from reid.errors import UserError

_BN = nn.modules.batchnorm._BatchNorm


@torch.no_grad()
def calibrate(network: nn.Module, batches: Iterable[torch.Tensor]) -> nn.Module:
    """Sets every BN's running mean and variance to the plain average of its statistics over ``batches``; returns
    ``network``.

    The average of per-batch means and of per-batch Bessel-corrected variances, as in the BN paper (Ioffe and Szegedy
    2015, section 3.1) and fvcore's ``update_bn_stats`` with its default estimator. Everything but BN runs in eval mode
    (no dropout), and the network ends in it. ``batches`` are ``(N, 3, H, W)`` images prepared as in evaluation (no
    augmentation); N must be at least 2. Where an exception ends it, BN's momenta are as before, its statistics are not.

    Raises:
        UserError: there are no batches; BN is left as it was.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, _BN)]
    momenta = [layer.momentum for layer in layers]
    calls: Counter[nn.Module] = Counter()

    def average(layer: nn.Module, _: tuple) -> None:
        # torch's own cumulative average, ``momentum = None``, asks the device in every layer how many batches it has
        # seen, and the host waits for each answer.
        calls[layer] += 1
        layer.momentum = 1 / calls[layer]

    network.eval()
    hooks = [layer.register_forward_pre_hook(average) for layer in layers]
    try:
        for number, images in enumerate(batches):
            if number == 0:
                for layer in layers:
                    layer.reset_running_stats()
                    layer.train()
            network(images)
    finally:
        for layer, momentum, hook in zip(layers, momenta, hooks, strict=True):
            layer.momentum = momentum
            hook.remove()
        network.eval()
    if layers and not calls:
        raise UserError("BN calibration: there are no images to measure its statistics on")
    return network


def calibration_indices(count: int, most: int, batch: int, seed: int) -> list[torch.Tensor]:
    """Which of ``count`` images BN is calibrated on: ``(n,) int64`` indices for each batch, drawn without repeats.

    They are shared out evenly, as every batch counts alike in a BN's average: two images left over would count as much
    as 64. None has less than two images, where there are two: one has no variance.

    Args:
        most: images in all.
        batch: the most in a batch.
    """
    chosen = torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:most]
    return list(chosen.tensor_split(max(1, min(-(-len(chosen) // batch), len(chosen) // 2))))

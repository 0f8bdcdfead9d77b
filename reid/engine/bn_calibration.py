"""BN calibration: the running statistics of a network, measured on training images with its weights fixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import torch
from torch import nn

_BN = nn.modules.batchnorm._BatchNorm


@torch.no_grad()
def calibrate(network: nn.Module, batches: Iterable[torch.Tensor]) -> nn.Module:
    """Sets every BN's running mean and variance to the plain average of its statistics over ``batches``; returns
    ``network``.

    The average of per-batch means and of per-batch Bessel-corrected variances, as in the BN paper (Ioffe and Szegedy
    2015, section 3.1) and fvcore's ``update_bn_stats`` with its default estimator. Everything but BN runs in eval mode
    (no dropout), and the network ends in it. ``batches`` are ``(N, 3, H, W)`` images prepared as in evaluation (no
    augmentation); N must be at least 2.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, _BN)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
    network.eval()
    for layer in layers:
        layer.train()
    calls = Counter()

    def average(layer: nn.Module, _: tuple) -> None:
        # torch's own cumulative average, ``momentum = None``, asks the device in every layer how many batches it has
        # seen, and the host waits for each answer.
        calls[layer] += 1
        layer.momentum = 1 / calls[layer]

    hooks = [layer.register_forward_pre_hook(average) for layer in layers]
    for images in batches:
        network(images)
    for layer, momentum, hook in zip(layers, momenta, hooks, strict=True):
        layer.momentum = momentum
        hook.remove()
    return network.eval()

"""BN calibration: a network's running statistics, measured on training images with fixed weights.

The images are augmented as in training: a network that has memorised its training images has different statistics on
the plain images than on persons it has never seen. docs/results.md (the demo) shows what that costs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

import torch
from torch import nn

from reid.data.augment import AugmentConfig, augment
from reid.engine.seeds import step_seed
from reid.errors import UserError
from reid.transfer import to_device

_BN = nn.modules.batchnorm._BatchNorm


@torch.no_grad()
def calibrate(network: nn.Module, batches: Iterable[torch.Tensor], fixed: Collection[nn.Module] = ()) -> nn.Module:
    """Sets every BN's running mean and variance to the plain average of its statistics over ``batches``, except for BNs
    in ``fixed``; returns ``network``.

    Averages per-batch means and per-batch Bessel-corrected variances, as in the BN paper (Ioffe and Szegedy 2015,
    section 3.1) and fvcore's ``update_bn_stats`` with its default estimator. Everything except BN runs in eval mode (no
    dropout), and the network ends in it. ``batches`` are ``(N, 3, H, W)`` images as from ``calibration_images``, with N
    of at least 2. If an exception ends it, BN's momenta are restored, but not its statistics.

    Raises:
        UserError: there are no batches; BN is left as it was.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, _BN) and layer not in fixed]
    momenta = [layer.momentum for layer in layers]
    calls: Counter[nn.Module] = Counter()

    def average(layer: nn.Module, _: tuple) -> None:
        # Not torch's own cumulative average (``momentum = None``): it reads the number of batches from the device in
        # every layer, and the host waits for each answer.
        calls[layer] += 1
        layer.momentum = 1 / calls[layer]

    network.eval()
    hooks = [layer.register_forward_pre_hook(average) for layer in layers]
    try:
        for number, images in enumerate(batches):
            if number == 0:
                for layer in layers:
                    layer.reset_running_stats()
                    layer.training = True  # not train(): timm's norms may contain a dropout, which must stay off
            network(images)
    finally:
        for layer, momentum, hook in zip(layers, momenta, hooks, strict=True):
            layer.momentum = momentum
            hook.remove()
        network.eval()
    if layers and not calls:
        raise UserError("BN calibration: there are no images to measure BN's statistics on; give some")
    return network


def calibration_images(
    pixels: torch.Tensor, size: tuple[int, int], augmentation: AugmentConfig, most: int, batch: int, seed: int
) -> Iterator[torch.Tensor]:
    """``(n, 3, h, w)`` training images for calibrating BN, augmented as in training.

    Args:
        pixels: ``(N, H, W, 3) uint8``, all training images; the results are on their device.
        size: ``(h, w)`` of the results.
        augmentation: the training's.
        most, batch: maximum number of images in total and at a time; see ``calibration_indices``.
        seed: of the choice of images and of their augmentation.
    """
    generator = torch.Generator()
    for number, index in enumerate(calibration_indices(len(pixels), most, batch, seed)):
        generator.manual_seed(step_seed(seed, 0, number))  # training epochs start at 1, so these seeds are unused there
        yield augment(pixels.index_select(0, to_device(index, pixels.device)), size, augmentation, generator)


def calibration_indices(count: int, most: int, batch: int, seed: int) -> list[torch.Tensor]:
    """The images, out of ``count``, for BN calibration: ``(n,) int64`` indices for each batch, without repetition.

    Batches have nearly equal sizes, since each counts equally in a BN's average: otherwise two leftover images would
    count as much as 64. No batch has fewer than two images, if there are two, since a single one has no variance.

    Args:
        most: maximum number of images in total.
        batch: maximum size of a batch, at least 3: a batch of 2 may take a third image that would be left alone.
    """
    chosen = torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:most]
    return list(chosen.tensor_split(max(1, min(-(-len(chosen) // batch), len(chosen) // 2))))

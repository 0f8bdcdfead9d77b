"""BN calibration: the running statistics of a network, measured on training images with its weights fixed.

The images are augmented as in training: a network that has memorised its training images gives other statistics on the
plain images than on persons that it has never seen. docs/results.md (the demo) shows what that costs.
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
    """Sets every BN's running mean and variance to the plain average of its statistics over ``batches``; returns
    ``network``. BNs among the ``fixed`` modules keep theirs.

    The average of per-batch means and of per-batch Bessel-corrected variances, as in the BN paper (Ioffe and Szegedy
    2015, section 3.1) and fvcore's ``update_bn_stats`` with its default estimator. Everything but BN runs in eval mode
    (no dropout), and the network ends in it. ``batches`` are ``(N, 3, H, W)`` images as ``calibration_images`` gives
    them; N must be at least 2. If an exception ends it, BN's momenta are restored, its statistics are not.

    Raises:
        UserError: there are no batches; BN is left as it was.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, _BN) and layer not in fixed]
    momenta = [layer.momentum for layer in layers]
    calls: Counter[nn.Module] = Counter()

    def average(layer: nn.Module, _: tuple) -> None:
        # torch's own cumulative average, ``momentum = None``, reads the number of batches from the device in every
        # layer, and the host waits for each answer.
        calls[layer] += 1
        layer.momentum = 1 / calls[layer]

    network.eval()
    hooks = [layer.register_forward_pre_hook(average) for layer in layers]
    try:
        for number, images in enumerate(batches):
            if number == 0:
                for layer in layers:
                    layer.reset_running_stats()
                    layer.training = True  # not train(): a norm of timm's may hold a dropout, which stays off
            network(images)
    finally:
        for layer, momentum, hook in zip(layers, momenta, hooks, strict=True):
            layer.momentum = momentum
            hook.remove()
        network.eval()
    if layers and not calls:
        raise UserError("BN calibration: there are no images to measure its statistics on")
    return network


def calibration_images(
    pixels: torch.Tensor, size: tuple[int, int], augmentation: AugmentConfig, most: int, batch: int, seed: int
) -> Iterator[torch.Tensor]:
    """``(n, 3, h, w)`` training images to calibrate BN on, augmented as in a training's steps.

    Args:
        pixels: ``(N, H, W, 3) uint8`` of all training images; the results are on their device.
        size: ``(h, w)`` of the results.
        augmentation: the training's.
        most, batch: images in all, and the most at a time; see ``calibration_indices``.
        seed: of the choice of images and of their augmentation.
    """
    generator = torch.Generator()
    for number, index in enumerate(calibration_indices(len(pixels), most, batch, seed)):
        generator.manual_seed(step_seed(seed, 0, number))  # epochs are counted from 1: none has these numbers
        yield augment(pixels.index_select(0, to_device(index, pixels.device)), size, augmentation, generator)


def calibration_indices(count: int, most: int, batch: int, seed: int) -> list[torch.Tensor]:
    """Which of ``count`` images BN is calibrated on: ``(n,) int64`` indices for each batch, drawn without repeats.

    Batches have nearly equal sizes, as each counts alike in a BN's average: two leftover images would count as much as
    64. No batch has less than two images, if there are two: a single one has no variance.

    Args:
        most: images in all.
        batch: most images in a batch, from 3 on: a batch of 2 takes a third image that would otherwise be alone.
    """
    chosen = torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:most]
    return list(chosen.tensor_split(max(1, min(-(-len(chosen) // batch), len(chosen) // 2))))

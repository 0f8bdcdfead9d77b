"""Activation maps: the energy of a network's last feature map at each place of an image."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import interpolate, normalize

from reid.data.prepare import prepare
from reid.errors import UserError
from reid.models.network import ReidNetwork
from reid.transfer import to_device

FLAT = 1e-6
"""Share of a map's greatest value below which its range is only rounding."""


@torch.no_grad()
def activation_maps(
    network: nn.Module, pixels: torch.Tensor, size: tuple[int, int], device: torch.device | str, batch_size: int = 64
) -> torch.Tensor:
    """``(N, h, w) float32`` on the CPU: at each place of the last feature map, the sum of the squared channels; each
    image's map is then divided by its L2 norm.

    These are the activation-based attention maps of Zagoruyko & Komodakis (2017, "Paying more attention to attention"),
    with p = 2, as torchreid's ``visualize_actmap`` draws them. A map of zeros stays one.

    Args:
        network: on ``device``; runs in eval mode, and each of its modules is left in the mode it was found in.
        pixels: ``(N, H, W, 3) uint8``.
        size: ``(h, w)`` in pixels that images are resized to.

    Raises:
        UserError: the network shows no feature map (an ``.onnx`` file).
    """
    if not isinstance(network, ReidNetwork):
        raise UserError(
            "this network gives only its vector, not its feature map: activation maps need a checkpoint; give one"
        )
    device = torch.device(device)
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        maps = [
            network.backbone(prepare(to_device(part, device), size)).float().square().sum(dim=1)
            for part in pixels.split(batch_size)
        ]
    finally:
        for module, training in modes:
            module.training = training
    energy = torch.cat(maps)
    return normalize(energy.flatten(1), dim=1).view_as(energy).cpu()


def upsampled(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """``(N, h, w)`` maps, not negative, at ``size = (H, W)``: bilinear between the places' centres, as OpenCV's
    ``resize``; each then stretched linearly from its least value, 0, to its greatest, 1. A map of one value is 0
    everywhere."""
    large = interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    low, high = large.amin(dim=(1, 2), keepdim=True), large.amax(dim=(1, 2), keepdim=True)
    # Not where it is 0: interpolation rounds, and a map of one value would be stretched to a picture of that.
    flat = high - low <= FLAT * high
    return torch.where(flat, 0, (large - low) / torch.where(flat, 1, high - low))

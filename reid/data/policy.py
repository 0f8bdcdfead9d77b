"""An AutoAugment-type policy: one random operation of random strength for each image of a batch.

It follows TrivialAugment (Müller and Hutter 2021, "TrivialAugment: Tuning-free Yet State-of-the-Art Data
Augmentation"): no policy is learnt; an operation is drawn uniformly from AutoAugment's list, its strength uniformly
from a range. What differs from the paper:

- an image is changed with a chance, as fast-reid applies AutoAugment, rather than always;
- strengths are continuous rather than one of 31;
- the ranges are those that the paper calls RA, not its wide ones: persons stand upright, and 135 degrees do not occur;
  translation goes up to ``TRANSLATE`` of the side;
- warps are bilinear rather than nearest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch.nn.functional import avg_pool2d, pad

from reid.data import colour, warp
from reid.transfer import to_device

SHEAR = 0.3
"""Greatest shear: pixels of shift per pixel of distance from the center."""
TRANSLATE = 1 / 7
"""Greatest translation as a share of the side: the paper's 32 pixels of ImageNet's 224."""
ROTATE = 30.0
"""Greatest rotation in degrees."""
ENHANCE = 0.9
"""Brightness, color, contrast and sharpness are multiplied by 1 - ENHANCE .. 1 + ENHANCE."""
POSTERIZE = 4
"""Most bits of eight that a color loses."""


@dataclasses.dataclass(frozen=True, eq=False)
class PolicyDraw:
    """The policy's operations for a batch of N; drawn on the CPU.

    Attributes:
        order: ``(N,) int64``, the images sorted by operation, so that each operation sees only its own images.
        counts: number of images of each of ``OPERATIONS``, in their order; the sum is N. It is on the host, which
            therefore need not wait for the device.
        strength: ``(N,) float32`` in -1..1, of the images in their original order.
    """

    order: torch.Tensor
    counts: tuple[int, ...]
    strength: torch.Tensor

    def to(self, device: torch.device) -> PolicyDraw:
        """The same on ``device``, by two asynchronous copies."""
        return PolicyDraw(to_device(self.order, device), self.counts, to_device(self.strength, device))


def draw_policy(count: int, probability: float, generator: torch.Generator) -> PolicyDraw:
    """The operations of ``count`` images, drawn from a CPU generator; the paper's list has the identity too."""
    chosen = torch.rand(count, generator=generator) < probability
    operation = torch.randint(0, len(OPERATIONS), (count,), generator=generator) * chosen
    strength = 2 * torch.rand(count, generator=generator) - 1
    counts = torch.bincount(operation, minlength=len(OPERATIONS)).tolist()
    return PolicyDraw(operation.argsort(stable=True), tuple(counts), strength)


def apply_policy(images: torch.Tensor, drawn: PolicyDraw) -> torch.Tensor:
    """Each image after its operation.

    Args:
        images: ``(N, h, w, 3) uint8``.
        drawn: for N images, on the same device.

    Returns:
        ``(N, h, w, 3) uint8``; results of float operations are rounded to levels.
    """
    groups = images.index_select(0, drawn.order).split(drawn.counts)
    strengths = drawn.strength.index_select(0, drawn.order).split(drawn.counts)
    changed = [
        operation(group, strength) if len(group) else group
        for operation, group, strength in zip(OPERATIONS.values(), groups, strengths, strict=True)
    ]
    return torch.empty_like(images).index_copy_(0, drawn.order, torch.cat(changed))


Operation = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""``(n, h, w, 3) uint8`` images and ``(n,) float32`` strengths in -1..1 to images of the same shape and type."""


def _on_planes(change: Operation) -> Operation:
    """Turns an operation on ``(n, 3, h, w) float32`` in 0..1 into one on uint8 pixels."""

    def operation(images: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        planes = images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
        planes = change(planes / 255, strength)
        return (planes * 255).round_().to(torch.uint8).permute(0, 2, 3, 1)

    return operation


def adjust_sharpness(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """0 gives the image blurred by PIL's ``SMOOTH`` filter, 1 the image; pixels at the border stay. Shapes as in
    ``reid.data.colour``."""
    inner = images[:, :, 1:-1, 1:-1]
    # The filter weighs the middle pixel 5 times, its eight neighbours once. A mean, since a convolution may be in TF32.
    smooth = (9 * avg_pool2d(images, 3, stride=1) + 4 * inner) / 13
    blurred = images.clone()
    blurred[:, :, 1:-1, 1:-1] = smooth
    return colour.blend(images, blurred, factor)


def posterize(images: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
    """Zeroes the lowest bits of ``(n, h, w, 3) uint8``, up to ``POSTERIZE`` of them by the strength's size."""
    step = torch.exp2((strength.abs() * POSTERIZE).round()).to(torch.uint8)[:, None, None, None]
    return images - images % step


def solarize(images: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
    """Inverts levels of ``(n, h, w, 3) uint8`` from a threshold on, which falls from 256 to 0 with the strength."""
    threshold = (256 * (1 - strength.abs()))[:, None, None, None]
    return torch.where(images >= threshold, 255 - images, images)


def autocontrast(images: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    """Stretches each channel's levels over 0..1; shapes as in ``reid.data.colour``. A channel with one level stays."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    flat = high == low
    spread = (high - low).masked_fill(flat, 1.0)
    return ((images - low.masked_fill(flat, 0.0)) / spread).clamp_(0, 1)


def equalize(images: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    """Maps each channel's levels so that their histogram is flat, by PIL's integer rule; ``(n, h, w, 3) uint8``."""
    batch, height, width, channels = images.shape
    level = images.permute(0, 3, 1, 2).reshape(batch * channels, height * width).long()
    histogram = level.new_zeros(batch * channels, 256).scatter_add_(1, level, torch.ones_like(level))
    # The greatest level is left out, so that it is mapped to 255.
    last = histogram.gather(1, level.amax(dim=1, keepdim=True))
    step = (height * width - last) // 255
    table = (histogram.cumsum(1) + step // 2) // step.clamp(min=1)
    table = pad(table, (1, -1)).clamp_(0, 255)
    table = torch.where(step > 0, table, torch.arange(256, device=images.device))
    mapped = table.gather(1, level).to(torch.uint8)
    return mapped.view(batch, channels, height, width).permute(0, 2, 3, 1)


def _enhanced(adjust: Operation) -> Operation:
    return _on_planes(lambda x, strength: adjust(x, 1 + ENHANCE * strength))


def _moved(across: float, down: float) -> Operation:
    def change(images: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[2:]
        return warp.translate(images, strength * (TRANSLATE * across * width), strength * (TRANSLATE * down * height))

    return _on_planes(change)


OPERATIONS: dict[str, Operation] = {
    "identity": lambda images, strength: images,
    "shear_x": _on_planes(lambda x, strength: warp.shear(x, SHEAR * strength, 0 * strength)),
    "shear_y": _on_planes(lambda x, strength: warp.shear(x, 0 * strength, SHEAR * strength)),
    "translate_x": _moved(1, 0),
    "translate_y": _moved(0, 1),
    "rotate": _on_planes(lambda x, strength: warp.rotate(x, ROTATE * strength)),
    "brightness": _enhanced(colour.adjust_brightness),
    "color": _enhanced(colour.adjust_saturation),
    "contrast": _enhanced(colour.adjust_contrast),
    "sharpness": _enhanced(adjust_sharpness),
    "posterize": posterize,
    "solarize": solarize,
    "autocontrast": _on_planes(autocontrast),
    "equalize": equalize,
}
"""TrivialAugment's operations by name. The identity is first: images that are not chosen get it."""

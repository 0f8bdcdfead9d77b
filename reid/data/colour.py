"""Colour changes of a batch, by a separate strength for each image: ColorJitter and grayscale.

The functions take ``(N, 3, h, w) float32`` RGB planes in 0..1 and an ``(N,) float32`` strength on the same device,
and do not modify their arguments. For one image each gives the same as torchvision's function of that name for a float
image.
"""

from __future__ import annotations

import dataclasses

import torch

from reid.transfer import to_device

LUMA = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in a gray pixel: ITU-R BT.601, as in torchvision and PIL."""


@dataclasses.dataclass(frozen=True)
class JitterRanges:
    """How far a jitter goes; torchvision's ``ColorJitter`` has arguments of the same names and meaning.

    Attributes:
        brightness, contrast, saturation: b; the factor is uniform in 1 - b .. 1 + b.
        hue: the shift is uniform in -hue .. hue, in turns of the color circle.
    """

    brightness: float
    contrast: float
    saturation: float
    hue: float


@dataclasses.dataclass(frozen=True, eq=False)
class JitterDraw:
    """The jitter of a batch of N; drawn on the CPU.

    Attributes:
        chosen: ``(n,) int64``, the images that are changed.
        strength: ``(4, n) float32``, strengths of these images for each of ``JITTER_OPS``, in their order.
        order: the operations to apply, as indices into ``JITTER_OPS``, in order.
    """

    chosen: torch.Tensor
    strength: torch.Tensor
    order: tuple[int, ...]

    def to(self, device: torch.device) -> JitterDraw:
        """The same on ``device``, by two asynchronous copies."""
        return JitterDraw(to_device(self.chosen, device), to_device(self.strength, device), self.order)


def draw_jitter(count: int, probability: float, ranges: JitterRanges, generator: torch.Generator) -> JitterDraw:
    """The jitter of ``count`` images, drawn from a CPU generator.

    torchvision draws the order of the four operations for each image. Here it is drawn for each batch, so that
    each operation is done once.
    """
    reach = torch.tensor(dataclasses.astuple(ranges))
    chosen = (torch.rand(count, generator=generator) < probability).nonzero()[:, 0]  # on the CPU: nothing waits
    centre = torch.tensor([1.0, 1.0, 1.0, 0.0])
    strength = centre[:, None] + reach[:, None] * (2 * torch.rand(4, count, generator=generator) - 1)
    order = torch.randperm(4, generator=generator).tolist()
    return JitterDraw(chosen, strength[:, chosen], tuple(op for op in order if reach[op] > 0))


def jitter(images: torch.Tensor, drawn: JitterDraw) -> torch.Tensor:
    """The images with the drawn jitter; images that are not chosen are unchanged, bit for bit."""
    if not len(drawn.chosen):
        return images
    changed = images.index_select(0, drawn.chosen)
    for op in drawn.order:
        changed = JITTER_OPS[op](changed, drawn.strength[op])
    return images.index_copy(0, drawn.chosen, changed)


def adjust_brightness(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """0 gives black, 1 the image."""
    return (images * factor[:, None, None, None]).clamp_(0, 1)


def adjust_contrast(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """0 gives the image's mean gray everywhere, 1 the image."""
    return blend(images, gray(images).mean(dim=(1, 2, 3), keepdim=True), factor)


def adjust_saturation(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """0 gives the gray image, 1 the image."""
    return blend(images, gray(images), factor)


def adjust_hue(images: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Turns every pixel's hue by ``turn`` (1 is once around) at the same saturation and value in HSV."""
    value, low = images.amax(dim=1), images.amin(dim=1)
    chroma = value - low
    # A gray pixel has no hue; whatever it is divided by here, it stays gray, as its chroma is 0.
    red, green, blue = (images / chroma.clamp(min=1e-12)[:, None]).unbind(1)
    is_red, is_green = images[:, 0] == value, images[:, 1] == value
    sixths = torch.where(is_red, green - blue, torch.where(is_green, blue - red + 2, red - green + 4))
    sixths = sixths + 6 * turn[:, None, None]
    # HSV to RGB without cases: a channel is the value less the chroma times a trapezium of the hue.
    planes = []
    for offset in (5, 3, 1):
        place = sixths + offset
        place = place - 6 * (place / 6).floor_()  # faster than remainder(6)
        planes.append(value - chroma * torch.minimum(place, 4 - place).clamp_(0, 1))
    return torch.stack(planes, dim=1)


def gray(images: torch.Tensor) -> torch.Tensor:
    """``(N, 1, h, w)``: the luma of every pixel."""
    red, green, blue = images.split(1, dim=1)
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def to_grayscale(images: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """The images with three equal channels where ``chosen``, ``(N,) bool``."""
    return torch.where(chosen[:, None, None, None], gray(images), images)


def blend(images: torch.Tensor, other: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """``other`` at a factor of 0, ``images`` at 1, and beyond that further away from ``other``."""
    factor = factor[:, None, None, None]
    return (images * factor + other * (1 - factor)).clamp_(0, 1)


JITTER_OPS = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)

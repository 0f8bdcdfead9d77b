"""Comparison of an exported file's embeddings with those of the network that it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from evaluation.export.about import OUTPUT, FileAbout
from evaluation.export.runtime import feed_of
from reid.data.prepare import prepare
from reid.errors import UserError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

LARGEST_SHARE = 1e-3
"""Greatest difference allowed for a float32 file, as a share of the largest number in the embeddings. Another order of
summation makes a difference of some 1e-6; a wrong layer, or one with wrong weights, far more than this limit."""

LEAST_COSINE = 0.99999
"""Least cosine allowed between an image's two embeddings, again for a float32 file."""

ZERO = 1e-6
"""Share of the largest number in the embeddings up to which an embedding's length is only rounding. A head that ends in
a ReLU can give an embedding of zeros; two of those are equal, though they have no direction to compare."""

ALONE = 4
"""Number of images that are also run one at a time."""


@dataclass(frozen=True)
class Parity:
    """Attributes:
    images: number compared, all in one call and the first ``ALONE`` also one at a time.
    largest: largest absolute number in PyTorch's embeddings.
    difference: largest absolute difference of a number.
    least_cosine, mean_cosine: between an image's embeddings from PyTorch and from the file.
    """

    images: int
    largest: float
    difference: float
    least_cosine: float
    mean_cosine: float

    def check(self, words: str) -> None:
        """Raises UserError if they differ by more than rounding; ``words`` say which file's, and on which images."""
        # Written so that NaN fails.
        if self.difference <= LARGEST_SHARE * self.largest and self.least_cosine >= LEAST_COSINE:
            return
        raise UserError(
            f"{words}: the exported file's embeddings differ from PyTorch's: largest difference {self.difference:.2g} "
            f"of {self.largest:.2g} (at most {LARGEST_SHARE:g} of it is allowed), smallest cosine "
            f"{self.least_cosine:.6f} (at least {LEAST_COSINE:g} is required); nothing was written; try another "
            "version of onnxruntime or torch"
        )


def measure_parity(network: nn.Module, session: InferenceSession, pixels: torch.Tensor, about: FileAbout) -> Parity:
    """Compares on ``(N, h, w, 3) uint8`` images of the network's own size, at batch N and at batch 1.

    Args:
        network: on the CPU and in eval mode.
        session: of the file that ``about`` describes.

    Raises:
        UserError: the network's own vectors cannot be compared: they hold NaN, or are all zeros.
    """
    with torch.inference_mode():
        expected = network(prepare(pixels, about.input_size)).double()
    if not torch.isfinite(expected).all():
        raise UserError(
            f"{about.name} computes vectors that contain NaN or infinite values: its training diverged; train it again"
        )
    if not expected.any():
        raise UserError(f"{about.name} computes nothing but zeros: its training collapsed; train it again")
    alone = min(ALONE, len(pixels))
    batches = [pixels, *pixels[:alone].split(1)]
    found = torch.cat([torch.from_numpy(session.run([OUTPUT], feed_of(each, about))[0]) for each in batches]).double()
    wanted = torch.cat([expected, expected[:alone]])
    # Not cosine_similarity, which finds all embeddings near zero unlike. A vector of zeros has cosine 0 to any other.
    lengths, largest = torch.stack([found.norm(dim=1), wanted.norm(dim=1)]), wanted.abs().max()
    cosine = (found * wanted).sum(1) / lengths.prod(0).clamp_min(torch.finfo(torch.double).tiny)
    cosine = torch.where((lengths <= ZERO * largest).all(0), 1.0, cosine)
    return Parity(
        len(pixels),
        float(largest),
        float((found - wanted).abs().max()),
        float(cosine.min()),
        float(cosine.mean()),
    )


def random_pixels(count: int, size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    """``(count, h, w, 3) uint8`` images of noise, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, *size, 3), dtype=torch.uint8, generator=generator)

"""Selection of a negative for each anchor-positive pair.

Every function takes ``distances (N, N)`` and the ``negatives (N, N) bool`` of ``pair_masks`` and selects one for every
pair of an anchor (row) and another image (column). An anchor's negatives are sorted once, and a pair's place among
them is found by bisection: O(N^2 log N), no ``(N, N, N)`` tensor, and no wait for the GPU.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from reid.transfer import to_device


class SelectedNegatives(NamedTuple):
    """One negative for each pair.

    Attributes:
        index: ``(N, N) int64``, the negative's row in the batch.
        found: ``(N, N) bool``; where it is false the index means nothing.
    """

    index: torch.Tensor
    found: torch.Tensor


@torch.no_grad()
def semi_hard_negatives(distances: torch.Tensor, negatives: torch.Tensor) -> SelectedNegatives:
    """The nearest negative that is farther than the positive (Schroff et al. 2015, "FaceNet"); where none is farther,
    the farthest negative, the fallback of TensorFlow Addons' ``triplet_semihard_loss``.

    The paper also wants it within the margin. With a hinge loss this makes no difference: beyond the margin it is zero.
    """
    ordered, order, count = _sorted_negatives(distances, negatives)
    place = torch.searchsorted(ordered, distances.contiguous(), right=True)
    place = torch.minimum(place, count - 1).clamp_min(0)
    return SelectedNegatives(order.gather(1, place), (count > 0).expand_as(negatives))


@torch.no_grad()
def random_negatives(
    distances: torch.Tensor, negatives: torch.Tensor, margin: float | None, generator: torch.Generator
) -> SelectedNegatives:
    """A negative for each pair, drawn uniformly from those whose triplet loss is above zero; ``found`` is false where
    there are none. ``RandomNegativeTripletSelector`` of adambielski/siamese-triplet and of TryTry ReID does the same
    with squared distances.

    Args:
        margin: negatives nearer than the positive plus this are eligible; ``None`` (soft margin, never zero): all are.
        generator: on the CPU, so that a GPU draws the same.
    """
    ordered, order, count = _sorted_negatives(distances, negatives)
    eligible = count.expand_as(order)
    if margin is not None:
        eligible = torch.searchsorted(ordered, (distances + margin).contiguous())
    chance = to_device(torch.rand(distances.shape, generator=generator), distances.device)
    # Below the count even after rounding: the greatest chance that float32 draws is 1 - 2^-24.
    place = (chance * eligible).long()
    return SelectedNegatives(order.gather(1, place), eligible > 0)


def _sorted_negatives(
    distances: torch.Tensor, negatives: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Each row's negative distances in rising order (then infinities), their columns, and their ``(N, 1)`` count."""
    ordered, order = distances.masked_fill(~negatives, float("inf")).sort(dim=1, stable=True)
    return ordered, order, negatives.sum(1, keepdim=True)

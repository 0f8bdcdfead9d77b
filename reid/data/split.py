"""Splits by identity: which are trained on and which are held out, and queries and gallery made from the latter."""

from __future__ import annotations

import torch

from reid.data.records import DISTRACTOR_PID, ImageSet
from reid.errors import UserError


def take_identities(images: ImageSet, first: int, count: int | None) -> ImageSet:
    """The images of ``count`` identities from number ``first`` on, counted from 0 in ascending order.

    ``count`` None takes all from ``first`` on. The images keep their order. Junk and distractors are not
    identities and are never taken.

    Raises:
        UserError: there are too few identities, or ``first`` or ``count`` is out of range.
    """
    identities = torch.unique(images.pids[images.pids > DISTRACTOR_PID])
    total = len(identities)
    if first < 0 or (count is not None and count < 1):
        raise UserError(
            f"cannot take {count} identities from number {first} on; give a first of at least 0 and a count of at "
            "least 1"
        )
    if first + (1 if count is None else count) > total:
        wanted = "the identities" if count is None else f"{count} identities"
        raise UserError(f"cannot take {wanted} from number {first} on: the data set has {total}; take fewer")
    chosen = identities[first:] if count is None else identities[first : first + count]
    return images.select(torch.isin(images.pids, chosen))


def query_gallery_split(images: ImageSet, cameras: bool = True) -> tuple[ImageSet, ImageSet]:
    """Queries and gallery in the manner of Market-1501's test set, from images of any identities.

    As there, each pair (identity, camera) offers one image as query: here its first in the order of
    ``images``. It becomes a query if another camera has an image of that identity besides the one that this
    camera offers, so that every query has a right answer in the gallery whatever else becomes a query. All
    other images, including junk and distractors, are the gallery. Both keep the order of ``images``; nothing
    is drawn at random.

    Args:
        cameras: False where cameras are not known (``Dataset.has_cameras``): then the first image of each identity
            that has more is its query.

    Raises:
        UserError: there is not a single query.
    """
    is_query = query_mask(images.pids, images.camids, cameras)
    if not is_query.any():
        wanted = "enough images from two cameras" if cameras else "two images"
        raise UserError(f"no identity has {wanted} for a query; use more identities")
    return images.select(is_query), images.select(~is_query)


def query_mask(pids: torch.Tensor, camids: torch.Tensor, cameras: bool = True) -> torch.Tensor:
    """``(N,) bool``: which images ``query_gallery_split`` makes queries, from ``(N,) int64`` labels."""
    if not cameras:
        camids = torch.zeros_like(camids)
    pairs, pair_of = torch.unique(torch.stack([pids, camids]), dim=1, return_inverse=True)
    count = torch.bincount(pair_of, minlength=pairs.shape[1])
    position = torch.arange(len(pids))
    first = torch.full((pairs.shape[1],), len(pids)).scatter_reduce(0, pair_of, position, "amin")
    # Images besides the offered one: of the identity at all, and of it at this camera.
    _, identity_of = torch.unique(pairs[0], return_inverse=True)
    spare = count - 1
    spare_of_identity = torch.zeros_like(spare).scatter_add(0, identity_of, spare)[identity_of]
    has_answer = (spare_of_identity > spare) if cameras else (spare > 0)
    has_answer &= pairs[0] > DISTRACTOR_PID
    mask = torch.zeros(len(pids), dtype=torch.bool)
    mask[first[has_answer]] = True
    return mask

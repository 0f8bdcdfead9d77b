"""PK batches in which an identity's K images come from as many cameras as possible."""

from __future__ import annotations

import numpy as np
import torch

from reid.data.samplers.pk import Draw, PKSampler
from reid.errors import UserError


class CameraAwareSampler(PKSampler):
    """PK batches whose positive pairs cross cameras, as retrieval does (the aim of fast-reid's
    ``BalancedIdentitySampler``, which draws other cameras' images with replacement and does not show all).

    Batches per epoch, identities per batch and coverage are ``PKSampler``'s. Each identity's images are dealt
    like cards to its chunks, camera after camera, and chunks with fewer than K are filled up with images of
    cameras they lack. Of all ways to show every image in ``ceil(n / K)`` chunks this one maximises the total
    number of different cameras over the chunks (see ``deal_cameras``).
    """

    def __init__(
        self,
        labels: torch.Tensor,
        camids: torch.Tensor,
        p: int,
        k: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """
        Args:
            labels: ``(N,) int64``, the identity of each image, numbered in any way.
            camids: ``(N,) int64``, its camera, numbered in any way.
            p, k, seed, rank, world_size: see ``PKSampler``.

        Raises:
            UserError: see ``PKSampler``; or there is not one camera for each image.
        """
        if labels.shape != camids.shape:
            raise UserError(f"{len(labels)} images but {len(camids)} cameras; each image needs its camid")
        super().__init__(labels, p, k, seed, rank, world_size)
        by_identity = np.argsort(self._identity_of, kind="stable")
        self._images = np.split(by_identity, self._first[1:])
        self._cameras = [camids.cpu().numpy()[images] for images in self._images]

    def _cut_chunks(self, rng: np.random.Generator) -> Draw:
        tables = [
            images[deal_cameras(cameras, self._k, rng)]
            for images, cameras in zip(self._images, self._cameras, strict=True)
        ]

        def draw(chosen: np.ndarray, given: np.ndarray) -> np.ndarray:
            return np.stack([tables[i][g % len(tables[i])] for i, g in zip(chosen, given, strict=True)])

        return draw


def deal_cameras(cameras: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Positions ``(C, k) int64`` of one identity's images in ``C = ceil(n / k)`` chunks with many cameras each.

    Every image is in a chunk. With ``n_c`` images of camera ``c``, dealt one after the other to the chunks in
    turn, a camera reaches ``min(n_c, C)`` of them, which is the most it can. Cameras with more than ``C``
    images are dealt first: the unavoidable repeats of a camera are then spread evenly, and the places left to
    fill are in chunks that lack a camera. So the total number of different cameras is the greatest possible.
    Images are repeated within a chunk only if there are fewer than ``k``, and then evenly.

    Args:
        cameras: ``(n,)`` camera of each image, numbered in any way.
        k: images in a chunk.
        rng: shuffles cameras, images within a camera, and chunks.
    """
    n, chunks = len(cameras), -(-len(cameras) // k)
    camera_of = np.unique(cameras, return_inverse=True)[1].reshape(-1)
    count = np.bincount(camera_of)
    turn = rng.random(len(count)) + (count <= chunks)
    order = np.lexsort((rng.random(n), turn[camera_of]))
    hands = [order[first::chunks].tolist() for first in range(chunks)]
    shown = np.ones(n, dtype=np.int64)
    for hand in hands:
        while len(hand) < k:
            in_hand = np.bincount(hand, minlength=n)
            has_camera = np.isin(camera_of, camera_of[hand])
            extra = int(np.lexsort((rng.random(n), shown, in_hand, has_camera))[0])
            shown[extra] += 1
            hand.append(extra)
    return np.array(hands)[np.argsort(rng.random(chunks), kind="stable")]

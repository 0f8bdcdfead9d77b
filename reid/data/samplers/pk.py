"""PK batches: P identities with K images each, for the batch-hard triplet loss (Hermans et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from reid.data.samplers.schedule import deal_identities
from reid.errors import UserError

Draw = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From identities ``(M,)`` and the number of chunks each has given before, ``(M,)``, to image indices ``(M, K)``."""


class PKSampler:
    """Batches of P different identities with K images each, in which an epoch shows every image.

    As in the samplers of torchreid and fast-reid, each identity's images are shuffled in every epoch and cut
    into chunks of K, and a batch takes one chunk from each of P identities. Those drop an identity's last,
    incomplete chunk and stop as soon as fewer than P identities have chunks left. Here

    - the last chunk is filled up with the identity's first images of that epoch, so that no image is dropped
      (with fewer than K images, each is repeated equally often, give or take one: the same as drawing with
      replacement, but balanced);
    - an epoch has ``B = ceil(chunks / P)`` batches, known beforehand; the fewer than P places left over go to
      one more chunk of identities drawn at random;
    - identities are dealt to batches so that the chunks always fit (``deal_identities``).

    So every image is shown in every epoch. The one exception is an identity with more than ``B`` chunks, that
    is, more than one P-th of all: it gives ``B`` of them, chosen at random in each epoch, and other identities
    fill its places.

    Attributes:
        batches_per_epoch: ``B``, the same for all epochs.
    """

    def __init__(self, labels: torch.Tensor, p: int, k: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        """
        Args:
            labels: ``(N,) int64``, the identity of each image, numbered in any way.
            p: identities in a batch, over all ranks.
            k: images of each identity.
            seed: decides all draws, together with the epoch; not negative.
            rank, world_size: this process's share of each batch, ``p / world_size`` identities of it.

        Raises:
            UserError: fewer than ``p`` identities, ``p`` is not divisible by ``world_size``, or a number is
                too small.
        """
        if p < 1 or k < 1 or seed < 0:
            raise UserError(f"PK batch with p={p}, k={k}, seed={seed}: p and k must be at least 1, seed at least 0")
        if not 0 <= rank < world_size or p % world_size:
            raise UserError(
                f"a batch of p={p} identities cannot be split over {world_size} processes; make the recipe's "
                "identities, the P of PxK, a multiple of that number"
            )
        identity_of = np.unique(labels.cpu().numpy(), return_inverse=True)[1].reshape(-1)
        self._counts = np.bincount(identity_of)
        if len(self._counts) < p:
            raise UserError(
                f"a batch of p={p} identities cannot be drawn from {len(self._counts)} identities; lower the "
                "recipe's identities, the P of PxK, or train on more"
            )
        self._identity_of = identity_of
        self._first = np.cumsum(self._counts) - self._counts
        self._p, self._k, self._seed, self._rank, self._world_size = p, k, seed, rank, world_size
        self._chunks = -(-self._counts // k)
        self.batches_per_epoch = int(-(-self._chunks.sum() // p))

    def epoch(self, e: int) -> list[torch.Tensor]:
        """``batches_per_epoch`` tensors ``(p * k / world_size,) int64`` of indices, identity by identity.

        The same for the same (seed, e) on any machine; ranks get different identities of the same batches.
        """
        # Only uniform numbers, comparisons and divisions are used: the same on every platform.
        rng = np.random.default_rng([self._seed, e])
        draw = self._cut_chunks(rng)
        given = np.zeros_like(self._counts)
        share = self._p // self._world_size
        mine = slice(self._rank * share, (self._rank + 1) * share)
        batches = []
        for chosen in self._deal(rng):
            index = draw(chosen, given[chosen])[mine]
            given[chosen] += 1
            batches.append(torch.from_numpy(index.reshape(-1).astype(np.int64)))
        return batches

    def _cut_chunks(self, rng: np.random.Generator) -> Draw:
        """This epoch's chunks of K images of each identity."""
        shuffled = np.lexsort((rng.random(len(self._identity_of)), self._identity_of))

        def draw(chosen: np.ndarray, given: np.ndarray) -> np.ndarray:
            position = given[:, None] * self._k + np.arange(self._k)
            # Modulo: the last chunk continues with the identity's first images, different from its own if n >= K.
            return shuffled[self._first[chosen, None] + position % self._counts[chosen, None]]

        return draw

    def _deal(self, rng: np.random.Generator) -> list[np.ndarray]:
        """The identities of each batch, ``(p,)`` different ones each, in random order."""
        return deal_identities(self._chunks, np.full(self.batches_per_epoch, self._p), rng)

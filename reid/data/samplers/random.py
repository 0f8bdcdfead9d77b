"""Plain random batches, for losses that need no positives (classification alone)."""

from __future__ import annotations

import numpy as np
import torch

from reid.errors import UserError


class RandomSampler:
    """Batches of images in random order, each image once in an epoch. The last batch is filled up with the epoch's
    first images, so that none is left out and BN and ranks never see a batch of another size.

    Attributes:
        batches_per_epoch: the same for all epochs.
    """

    def __init__(self, images: int, batch: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        """
        Args:
            images: number of images ``N``.
            batch: images in a batch, over all ranks.
            seed: decides all draws, together with the epoch; not negative.
            rank, world_size: this process's share of each batch, ``batch / world_size`` images of it.

        Raises:
            UserError: no image, ``batch`` is not divisible by ``world_size``, or a number is too small.
        """
        if images < 1 or batch < 1 or seed < 0:
            raise UserError(
                f"batches of {batch} from {images} images, seed={seed}: both must be at least 1, seed at least 0"
            )
        if not 0 <= rank < world_size or batch % world_size:
            raise UserError(
                f"a batch of {batch} images cannot be split over {world_size} processes; make the recipe's identities "
                "times instances a multiple of that number"
            )
        self._images, self._batch, self._seed = images, batch, seed
        share = batch // world_size
        self._mine = slice(rank * share, (rank + 1) * share)
        self.batches_per_epoch = -(-images // batch)

    def epoch(self, e: int) -> list[torch.Tensor]:
        """``batches_per_epoch`` tensors ``(batch / world_size,) int64`` of indices.

        The same for the same (seed, e) on any machine; ranks get different images of the same batches.
        """
        rng = np.random.default_rng([self._seed, e])
        shuffled = np.argsort(rng.random(self._images), kind="stable")
        places = np.arange(self.batches_per_epoch * self._batch) % self._images
        batches = shuffled[places].reshape(-1, self._batch)[:, self._mine]
        return list(torch.from_numpy(np.ascontiguousarray(batches, dtype=np.int64)))

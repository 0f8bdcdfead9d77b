"""PK batches over several data sets, with equally many identities from each."""

from __future__ import annotations

import numpy as np
import torch

from reid.data.samplers.pk import PKSampler
from reid.data.samplers.schedule import deal_identities
from reid.errors import UserError


class BalancedSampler(PKSampler):
    """PK batches in which each of S data sets (sources) has P / S identities, however large it is.

    The places of an epoch's batches go to the sources in turn: place ``j`` of batch ``b`` to source
    ``(b * P + j) mod S``. So the numbers of identities of two sources in a batch, and in a rank's share of it,
    differ by at most one, and leftover places go to a different source in the next batch.

    An epoch is as long as the source with the most chunks in proportion needs to show every image; the others are
    shown more than once. Within a source, images and identities are dealt as in ``PKSampler``.
    """

    def __init__(
        self,
        labels: torch.Tensor,
        sources: torch.Tensor,
        p: int,
        k: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """
        Args:
            labels: ``(N,) int64``, the identity of each image; no number is used in two sources.
            sources: ``(N,) int64``, the data set of each image, numbered in any way.
            p, k, seed, rank, world_size: see ``PKSampler``.

        Raises:
            UserError: see ``PKSampler``; or a label occurs in two sources, there are more sources than places
                in a batch, or a source has fewer identities than a batch takes from it.
        """
        if labels.shape != sources.shape:
            raise UserError(f"{len(labels)} images but {len(sources)} sources; each image needs its data set's number")
        super().__init__(labels, p, k, seed, rank, world_size)
        names, source_of_image = np.unique(sources.cpu().numpy(), return_inverse=True)
        source_of = np.zeros_like(self._counts)
        source_of[self._identity_of] = source_of_image.reshape(-1)
        if (source_of[self._identity_of] != source_of_image.reshape(-1)).any():
            raise UserError(
                "an identity label occurs in two sources; give identities of different data sets different labels"
            )
        if p < len(names):
            raise UserError(
                f"a batch of p={p} identities cannot hold {len(names)} sources; raise the recipe's identities, the P "
                "of PxK"
            )
        self._members = [np.flatnonzero(source_of == number) for number in range(len(names))]
        most = -(-p // len(names))
        for number, members in enumerate(self._members, start=1):
            if len(members) < most:
                raise UserError(
                    f"data set {number} of the {len(names)} that are trained on has {len(members)} identities, and a "
                    f"balanced batch takes {most} of them; lower the recipe's identities, or leave the data set out"
                )
        # Source s has the places s, s + S, s + 2 S, ...: its last chunk needs all places up to that one.
        last_place = [
            (int(self._chunks[members].sum()) - 1) * len(names) + number for number, members in enumerate(self._members)
        ]
        self.batches_per_epoch = max(last_place) // p + 1

    def _deal(self, rng: np.random.Generator) -> list[np.ndarray]:
        turn = np.arange(self.batches_per_epoch * self._p).reshape(-1, self._p) % len(self._members)
        batches = np.empty_like(turn)
        for number, members in enumerate(self._members):
            places = (turn == number).sum(axis=1)
            dealt = deal_identities(self._chunks[members], places, rng)
            batches[turn == number] = members[np.concatenate(dealt)]
        return list(batches)

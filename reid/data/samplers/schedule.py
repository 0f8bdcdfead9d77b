"""Which identities each batch of an epoch takes: chunks of images dealt to batches, no identity twice in one."""

from __future__ import annotations

import numpy as np


def deal_identities(chunks: np.ndarray, places: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """The identities of each batch, different ones within a batch, in random order.

    An identity with as many chunks left as there are batches left is taken into the batch; the other places are
    drawn, with better chances for identities with more chunks left. Then the chunks always fit into the batches.

    Args:
        chunks: ``(I,) int64``, chunks that each identity wants to give, at least one. Together they fit into
            the places, except for identities with more chunks than there are batches.
        places: ``(B,) int64``, identities in each batch: at most ``I``, and any two differ by at most one.
        rng: decides all draws.

    Returns:
        ``B`` arrays ``(places[b],) int64`` of numbers in ``0..I-1``.
    """
    left = _quotas(chunks, places, rng)
    dealt = []
    for number, wanted in enumerate(places):
        batches_left = len(places) - number
        candidates = np.flatnonzero(left)
        # Loop invariant: no identity has more chunks left than there are batches, and together they have as many
        # as there are places. So enough identities have some, and not too many must be taken now.
        key = rng.random(len(candidates)) / left[candidates]
        key[left[candidates] == batches_left] = -1.0
        chosen = candidates[_least(key, wanted)]
        chosen = chosen[np.argsort(rng.random(wanted), kind="stable")]
        left[chosen] -= 1
        dealt.append(chosen)
    return dealt


def _least(key: np.ndarray, wanted: int) -> np.ndarray:
    """Positions of the ``wanted`` smallest of ``key``, as in ``np.argsort(key, kind="stable")[:wanted]``; none of them
    may equal one that is left out. Sorting all of 100,000 identities for each batch took over a minute of every
    epoch."""
    places = np.sort(np.argpartition(key, wanted - 1)[:wanted]) if wanted < len(key) else np.arange(len(key))
    return places[np.argsort(key[places], kind="stable")]


def _quotas(chunks: np.ndarray, places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Chunks that each identity gives in this epoch: at most one per batch, and together one for each place."""
    batches, total = len(places), int(places.sum())
    quotas = np.minimum(chunks, batches)
    while missing := total - int(quotas.sum()):
        open_to_more = np.flatnonzero(quotas < batches)
        order = np.argsort(rng.random(len(open_to_more)), kind="stable")
        quotas[open_to_more[order[:missing]]] += 1
    return quotas

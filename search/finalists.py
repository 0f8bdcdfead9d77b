"""Finalists: a few of a search's best candidates that are trained before one of them is chosen.

Among archs of the same FLOPs a supernet's order says little; the score after some epochs of an arch's own training says
more (docs/ranking.md has measurements of both). So a search can end in two rounds: the supernet picks the finalists,
and their own training picks among them, on the same held-out identities.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from reid.errors import UserError
from search.history import Candidate, best_of
from search.predictor.choices import read_choices
from supernet.space import Space

POOL = 4
"""Size of the pool of best candidates from which finalists are taken, as a multiple of their number."""

Judge = Callable[[Sequence[Candidate]], Sequence[float]]
"""Trains finalists, and scores each on the held-out identities: mAP as a fraction, NaN where it has none."""


@dataclass(frozen=True)
class Finalist:
    """A candidate that was trained.

    Attributes:
        candidate: with the supernet's score.
        trained: its score after its own training, on the same held-out identities.
    """

    candidate: Candidate
    trained: float


def choose_finalists(space: Space, candidates: Sequence[Candidate], count: int) -> tuple[Candidate, ...]:
    """The best candidate, then repeatedly the one that differs most from all that are taken already.

    All are among the ``POOL * count`` best scores. The best candidates of an evolutionary search are close relatives,
    whose scores have the same error: training six of them would try one arch six times. Of equally different ones the
    better comes first. Fewer are returned if fewer have a score.
    """
    pool = best_of(candidates, POOL * count)
    if len(pool) <= count:
        return pool
    rows = read_choices(space, [each.arch for each in pool]).indices
    taken = [0]
    nearest = np.full(len(pool), np.iinfo(np.int64).max)
    while len(taken) < count:
        nearest = np.minimum(nearest, (rows != rows[taken[-1]]).sum(axis=1))
        nearest[taken] = -1
        taken.append(int(nearest.argmax()))  # the first of equals, which is the better one
    return tuple(pool[index] for index in sorted(taken))


def judged(candidates: Sequence[Candidate], judge: Judge) -> tuple[Finalist, ...]:
    """``candidates`` trained by ``judge``, best first; those that got no score are left out.

    Raises:
        UserError: none got a score.
    """
    scores = judge(candidates)
    finalists = [Finalist(*each) for each in zip(candidates, scores, strict=True) if math.isfinite(each[1])]
    if not finalists:
        raise UserError(
            f"none of {len(candidates)} finalists got a score after their training; lower the recipe's rate "
            "(retrain.optimizer.lr), or train no finalists (search.finalists.count=0)"
        )
    return tuple(sorted(finalists, key=lambda each: (-each.trained, each.candidate.flops, each.candidate.trial)))

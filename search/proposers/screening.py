"""Picking the most promising of several children by a predictor of the score, before one of them is evaluated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search.config import SearchConfig
from search.history import Candidate
from search.predictor import Predictor, fit_predictor
from search.proposers.base import Proposal
from supernet.space import Space

RECENT = 400
"""Scored candidates that the predictor learns from: the last ones, which the children are most like. Its time grows
with the third power of their number; 400 take about 0.1 s a generation.
"""


class Screen:
    """A predictor that learns from the generations so far; it is fitted at most once a generation.

    Args:
        space: that the archs are of.
        config: ``screen`` children are drawn for a slot from ``screen_after`` scored candidates on.
    """

    def __init__(self, space: Space, config: SearchConfig) -> None:
        self._space, self._config = space, config
        self._history: list[Candidate] = []
        self._predictor: Predictor | None = None

    @property
    def wanted(self) -> int:
        """Children to draw for a slot now."""
        return self._config.screen if len(self._history) >= self._config.screen_after else 1

    def observe(self, generation: Sequence[Candidate]) -> None:
        """Records an evaluated generation."""
        self._history += [candidate for candidate in generation if candidate.score is not None]
        self._predictor = None

    def scores(self, proposals: Sequence[Proposal]) -> np.ndarray:
        """``(N,)`` predicted scores."""
        if self._predictor is None:
            self._predictor = fit_predictor(self._space, self._history[-RECENT:])
        return np.asarray(self._predictor.predict([each.arch for each in proposals]))

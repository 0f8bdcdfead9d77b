"""Scores candidates by a predictor fitted to archs that were trained alone."""

from __future__ import annotations

from collections.abc import Callable

from search.predictor.alone import AlonePredictor
from search.workers import Evaluate
from supernet.arch import Arch


class LearnedEvaluator:
    """``evaluator(arch)``: the expected score of the arch after training it alone.

    Args:
        predictor: of stand-alone scores.
        flops: of an arch, counted as those of the trained archs were.
        supernet: scores an arch with the supernet's weights; called only where the predictor takes that score.
    """

    def __init__(self, predictor: AlonePredictor, flops: Callable[[Arch], int], supernet: Evaluate) -> None:
        self.predictor, self.flops, self.supernet = predictor, flops, supernet

    def __call__(self, arch: Arch) -> dict[str, float]:
        """``default``: expected mAP as a fraction, NaN where the supernet's score is; ``supernet``: that score, where
        it was asked for."""
        own = {"supernet": self.supernet(arch)["default"]} if self.predictor.takes_supernet else {}
        expected = self.predictor.predict([arch], [self.flops(arch)], list(own.values()) or None)
        return {"default": float(expected[0]), **own}

"""Effects of the choices on the score of a search's candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.explanation.caution import FEW, cautions
from search.explanation.design import Design, best_ridge, effects_of, make_design, solve
from search.history import Candidate
from search.predictor.choices import INACTIVE, read_choices
from search.predictor.model import scored_candidates
from supernet.space import Option, Space

FOLDS = 5


@dataclass(frozen=True)
class OptionEffect:
    """One option of a choice; effects in points of the score (mAP in %) against the mean over the choice's options.

    Attributes:
        option: its value.
        candidates: how many had it; only archs in which the choice is active count.
        effect, error: effect and its standard error; ``None`` where there was nothing to compare.
        at_equal_flops, error_at_equal_flops: the same with FLOPs in the regression.
    """

    option: Option
    candidates: int
    effect: float | None
    error: float | None
    at_equal_flops: float | None
    error_at_equal_flops: float | None


@dataclass(frozen=True)
class DimensionEffect:
    """One choice.

    Attributes:
        name: the space's name for it.
        share: its part of what all main effects explain, from 0 to 1: the variance of its effects with every option
            equally likely, times the part of the candidates in which the choice is active. Options that fewer than
            ``FEW`` candidates had are left out of it.
        spread: of these options, the best one's effect less the worst one's, in points.
        options: cheap to dear.
    """

    name: str
    share: float
    spread: float
    options: tuple[OptionEffect, ...]


@dataclass(frozen=True)
class Explanation:
    """Main effects of every choice, those that matter most first.

    Attributes:
        candidates: number of scored candidates behind it.
        r2, r2_with_flops: share of the variance of scores that main effects predict for candidates that were held out,
            by cross-validation; negative where they predict worse than the mean does.
        points_per_doubling: points that a doubling of FLOPs goes with at equal choices; ``None`` where all cost the
            same.
        dimensions: choices with two options or more.
        notes: cautions on where the candidates say little.
    """

    candidates: int
    r2: float
    r2_with_flops: float
    points_per_doubling: float | None
    dimensions: tuple[DimensionEffect, ...]
    notes: tuple[str, ...]


def explain(space: Space, candidates: Sequence[Candidate], seed: int = 0) -> Explanation:
    """Marginal effects of the choices on the score, estimated all together.

    Each effect is an adjusted (least-squares) marginal mean (Searle, Speed & Milliken 1980): all choices stand in one
    additive regression, so that one that evolution, or a limit on FLOPs, made to go along with another does not get its
    effect. A ridge, chosen by leave-one-out, keeps it solvable for few candidates and draws effects towards 0. Ranking
    choices by the variance of their marginal effects follows functional ANOVA (Hutter, Hoos & Leyton-Brown 2014), whose
    marginals are of a random forest; ours are of the additive regression, without interactions.

    Raises:
        UserError: too few candidates have a score, or one is not of the space.
    """
    scored = scored_candidates(candidates)
    scores = 100 * np.array([candidate.score for candidate in scored], dtype=float)
    flops = np.array([candidate.flops for candidate in scored], dtype=float)
    choices = read_choices(space, [candidate.arch for candidate in scored])
    plain, adjusted = make_design(choices), make_design(choices, flops)
    main, main_errors, _ = _estimate(plain, scores)
    equal, equal_errors, slope = _estimate(adjusted, scores)
    place = {pair: column for column, pair in enumerate(zip(plain.owner, plain.option, strict=True))}

    dimensions = []
    for index, (name, options) in enumerate(zip(choices.names, choices.options, strict=True)):
        chosen = choices.indices[:, index]
        columns = [place.get((index, each)) for each in range(len(options))]
        rows = tuple(
            OptionEffect(option, int((chosen == each).sum()), *_at(column, main, main_errors, equal, equal_errors))
            for each, (option, column) in enumerate(zip(options, columns, strict=True))
        )
        share, spread = _importance(rows, float(np.mean(chosen != INACTIVE)))
        dimensions.append(DimensionEffect(name, share, spread, rows))
    total = sum(each.share for each in dimensions) or 1.0
    dimensions = [DimensionEffect(each.name, each.share / total, each.spread, each.options) for each in dimensions]
    dimensions.sort(key=lambda each: -each.share)

    r2, r2_with_flops = (_cross_validated_r2(design, scores, seed) for design in (plain, adjusted))
    doubling = None if slope is None else float(slope * np.log(2) / np.log(flops).std())
    counts = {each.name: {row.option: row.candidates for row in each.options} for each in dimensions}
    notes = cautions(len(scored), counts, r2, flops)
    return Explanation(len(scored), r2, r2_with_flops, doubling, tuple(dimensions), notes)


def _importance(rows: Sequence[OptionEffect], active: float) -> tuple[float, float]:
    """Variance and spread of the effects; a rare option's says too little to rank its choice by."""
    known = np.array([row.effect for row in rows if row.effect is not None and row.candidates >= FEW] or [0.0])
    return float(np.var(known)) * active, float(np.ptp(known))


def _at(column: int | None, *figures: np.ndarray) -> list[float | None]:
    return [None if column is None else float(each[column]) for each in figures]


def _estimate(design: Design, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, float | None]:
    """``(D,)`` effects, their ``(D,)`` standard errors, and the coefficient of FLOPs where they are in the design."""
    scores = scores - scores.mean()
    coefficients, covariances = solve(design, scores, best_ridge(design, scores))
    slope = float(coefficients[1]) if design.fixed.shape[1] > 1 else None
    return *effects_of(design, coefficients, covariances), slope


def _cross_validated_r2(design: Design, scores: np.ndarray, seed: int) -> float:
    order = np.random.default_rng([seed, FOLDS]).permutation(len(scores))
    missed = base = 0.0
    for fold in range(FOLDS):
        held, rest = order[fold::FOLDS], np.sort(np.delete(order, np.s_[fold::FOLDS]))
        part, mean = design.rows(rest), scores[rest].mean()
        coefficients, _ = solve(part, scores[rest] - mean, best_ridge(part, scores[rest]))
        other = design.rows(held)
        predicted = mean + np.hstack([other.fixed, other.columns]) @ coefficients
        missed += float(((scores[held] - predicted) ** 2).sum())
        base += float(((scores[held] - mean) ** 2).sum())
    return 1 - missed / base if base else 0.0

"""Cautions that the user should know before trusting an explanation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from supernet.space import Option

FEW = 5
"""Candidates below which an option's effect is no more than a guess."""

CONCENTRATED = 0.9
"""Share of the candidates with one option above which the other options are hardly compared with it."""

LITTLE = 0.3
"""R^2 below which effects say little about scores."""

NARROW = 1.25
"""Ratio of the greatest to the least FLOPs of candidates below which the effect of FLOPs is hardly known."""


def cautions(
    candidates: int, counts: Mapping[str, Mapping[Option, int]], r2: float, flops: np.ndarray
) -> tuple[str, ...]:
    """Lines on where the candidates say little.

    Args:
        candidates: how many were scored.
        counts: candidates that had each option, by dimension and option.
        r2: cross-validated share of variance that main effects explain.
        flops: ``(N,)`` of the candidates.
    """
    notes = []
    if r2 < LITTLE:
        what = "nothing" if r2 <= 0 else f"{100 * r2:.0f} %"
        notes.append(f"main effects predict {what} of the scores' variance: the rest is chance or interactions")
    free = sum(max(sum(count > 0 for count in options.values()) - 1, 0) for options in counts.values())
    if candidates < 2 * free:
        notes.append(
            f"{candidates} candidates for {free} effects: they are shrunk towards 0, and their ranks are uncertain"
        )
    every = [(name, option, count) for name, options in counts.items() for option, count in options.items()]
    few = [f"{name}={option_word(option)} ({count})" for name, option, count in every if count < FEW]
    if few:
        notes.append(f"{len(few)} of {len(every)} options had fewer than {FEW} candidates: {_list(few)}")
    firm = [
        f"{name}={option_word(max(options, key=options.get))}"
        for name, options in counts.items()
        if max(options.values()) >= CONCENTRATED * max(sum(options.values()), 1)
    ]
    if firm:
        part = f"{100 * CONCENTRATED:.0f} % of the candidates"
        notes.append(f"{len(firm)} of {len(counts)} choices have one option in at least {part}: {_list(firm)}")
    if flops.max() < NARROW * flops.min():
        spans = f"{flops.min() / 1e6:.1f}M to {flops.max() / 1e6:.1f}M"
        notes.append(
            f"all candidates have {spans} FLOPs: the effect of FLOPs alone, and so the last column, is uncertain"
        )
    return tuple(notes)


def option_word(option: Option) -> str:
    """``yes`` and ``no`` for truth values, others as they are."""
    return {True: "yes", False: "no"}[option] if isinstance(option, bool) else str(option)


def _list(words: list[str]) -> str:
    shown = ", ".join(words[:4])
    return f"{shown}, ..." if len(words) > 4 else shown

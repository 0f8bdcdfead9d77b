"""Progress of a search: every candidate's score by trial, and the best so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from matplotlib.ticker import MaxNLocator

from evaluation.pictures.front import scored_candidates
from evaluation.pictures.style import SCALE, SERIES, add_flops_bar, new_figure, save_figure, style_axes
from reid.errors import UserError


def draw_search_progress(candidates: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """A PNG of ``score`` (a fraction) by ``trial`` for each candidate, coloured by ``flops``, with the best
    so far as a line.

    Raises:
        UserError: no candidate has a score.
    """
    scored = sorted(scored_candidates(candidates), key=lambda candidate: candidate["trial"])
    if not scored:
        raise UserError("no candidate with a score to draw: the search has evaluated none yet")
    trials = [candidate["trial"] for candidate in scored]
    scores = [100 * candidate["score"] for candidate in scored]
    best = list(accumulate(scores, max))

    figure = new_figure(7.5, 4.2)
    axes = style_axes(figure.subplots(), "Search progress", "trial", "score on held-out identities (%)")
    axes.step(trials, best, where="post", color=SERIES[1], linewidth=1.6, zorder=3)
    dots = axes.scatter(
        trials,
        scores,
        c=[candidate["flops"] / 1e6 for candidate in scored],
        cmap=SCALE,
        s=24,
        edgecolor="white",
        linewidth=0.4,
        zorder=4,
    )
    axes.margins(x=0.03, y=0.14)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.annotate(
        f"best so far: {best[-1]:.1f}",
        (trials[-1], best[-1]),
        xytext=(0, 6),
        textcoords="offset points",
        ha="right",
        fontsize=8.5,
        color=SERIES[1],
        fontweight="bold",
    )
    add_flops_bar(figure, dots, axes)
    return save_figure(figure, path)

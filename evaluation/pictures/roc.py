"""The ROC of a verification."""

from __future__ import annotations

from pathlib import Path

from evaluation.pictures.style import ACCENT, MUTED, new_figure, save_figure, style_axes
from evaluation.verification import Roc


def draw_roc(roc: Roc, path: Path) -> Path:
    """A PNG: true-positive rate against false-match rate, the latter in powers of ten down to one impostor pair."""
    figure = new_figure(5.6, 3.8)
    axes = style_axes(figure.subplots(), "Same person or not", "false-match rate", "true-positive rate")
    sampled = roc.sampled(241)
    axes.set_xscale("log")
    axes.plot(sampled["fmr"], sampled["tpr"], color=ACCENT, linewidth=1.8, drawstyle="steps-post")
    axes.plot(sampled["fmr"], sampled["fmr"], "--", color=MUTED, linewidth=1)
    axes.set_xlim(sampled["fmr"][0], 1)
    axes.set_ylim(0, 1.02)
    eer = roc.equal_error_rate()
    if eer > sampled["fmr"][0]:
        axes.plot([eer], [1 - eer], "o", color=ACCENT, markersize=5)
        axes.annotate(f"EER {100 * eer:.1f} %", (eer, 1 - eer), (8, -12), textcoords="offset points", fontsize=8.5)
    return save_figure(figure, path)

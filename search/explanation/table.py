"""An explanation as a table for the terminal."""

from __future__ import annotations

from search.explanation.caution import option_word
from search.explanation.effects import Explanation

TOP = 15
"""Choices that are shown; ``effects.json`` has all."""


def effects_table(explanation: Explanation, top: int = TOP) -> str:
    """The ``top`` choices that matter most, a line an option: effects in points of mAP with their standard errors."""
    lines = [f"{'choice':14s} {'share':>6s}  {'option':>8s} {'archs':>6s} {'effect':>15s} {'at equal FLOPs':>16s}"]
    for dimension in explanation.dimensions[:top]:
        head = f"{dimension.name:14s} {100 * dimension.share:4.1f} %"
        for row in dimension.options:
            effect = _points(row.effect, row.error)
            equal = _points(row.at_equal_flops, row.error_at_equal_flops)
            lines.append(f"{head:21s}  {option_word(row.option):>8s} {row.candidates:6d} {effect:>15s} {equal:>16s}")
            head = ""
    if left := explanation.dimensions[top:]:
        share = sum(each.share for each in left)
        lines.append(f"{len(left)} further choices: {100 * share:.1f} %")
    return "\n".join(lines)


def _points(value: float | None, error: float | None) -> str:
    return "-" if value is None else f"{value:+.2f} +- {error:.2f}"

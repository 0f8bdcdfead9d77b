"""Counts of things in words."""

from __future__ import annotations


def counted(number: float, noun: str) -> str:
    """``"1 epoch"``, ``"2 epochs"``, ``"0.5 epochs"``: a float has as many digits as it needs, six at most;
    ``noun`` must form its plural with an s."""
    digits = f"{number:g}" if isinstance(number, float) else str(number)
    return f"{digits} {noun}{'' if number == 1 else 's'}"

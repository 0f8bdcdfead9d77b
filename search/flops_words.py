"""FLOPs as text: ``210M``."""

from __future__ import annotations

import math
from decimal import Decimal, DecimalException

from reid.errors import UserError


def format_flops(flops: float) -> str:
    """``204354048`` as ``"204.4M"``; from 10 billion on in G, below 100,000 in K."""
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if flops >= {"G": 1e10, "M": 1e5, "K": 1e3}[unit]:
            return f"{flops / scale:.1f}{unit}"
    return f"{flops:.0f}"


def parse_flops(text: str | int | float) -> int:
    """A number of FLOPs: ``210M``, ``0.21G``, ``210e6`` and ``210000000`` are the same.

    Raises:
        UserError: it is no positive number with an optional K, M or G behind it.
    """
    written = str(text).strip()
    scale = {"K": 10**3, "M": 10**6, "G": 10**9}.get(written[-1:].upper(), 1)
    try:
        value = Decimal(written[:-1] if scale > 1 else written) * scale
    except DecimalException:  # no number, or one beyond all bounds
        value = Decimal(0)
    if not value.is_finite() or value < 1 or not math.isfinite(float(value)):
        raise UserError(f"FLOPs '{text}': give a positive number such as 210M, 0.21G or 210000000")
    return round(value)

"""``Limits``: upper limits on an arch's cost, by one or several measures, and their text form."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from reid.errors import UserError
from search.costs import CostTable
from search.flops_words import format_flops, parse_flops
from supernet.arch import Arch

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_LATENCY = re.compile(r"([0-9.]+(?:e[+-]?[0-9]+)?)\s*(us|ms|s)?")


class ArchCost(NamedTuple):
    """An arch's cost: FLOPs as fvcore counts them, parameters and, if there is a target, predicted ms per call."""

    flops: int
    parameters: int
    latency_ms: float | None = None


def arch_cost(arch: Arch, table: CostTable, latency: Callable[[Arch], float] | None = None) -> ArchCost:
    """The cost of ``arch`` at its input size, from ``table`` and the prediction ``latency``."""
    cost = table.cost(arch)
    return ArchCost(cost.flops, cost.parameters, None if latency is None else latency(arch))


@dataclass(frozen=True)
class Limits:
    """Upper limits, all of which apply; ``None`` for a measure without a limit.

    Attributes:
        flops: fvcore's count.
        latency_ms: predicted milliseconds per call on the latency target.
        parameters: weights and biases, including BN.

    Raises:
        UserError: none is set, or one is not positive.
    """

    flops: int | None = None
    latency_ms: float | None = None
    parameters: int | None = None

    def __post_init__(self) -> None:
        if not self.given():
            raise UserError("no limit is set; give FLOPs, latency or parameters")
        for name, limit in self.given().items():
            if not limit > 0 or not math.isfinite(limit):
                raise UserError(f"limit of {name} {limit}: must be a positive number")

    def given(self) -> dict[str, float]:
        """The limits that are set, by the names of ``ArchCost``'s fields: FLOPs, then latency, then parameters."""
        return {name: limit for name, limit in vars(self).items() if limit is not None}

    def met_by(self, cost: ArchCost) -> bool:
        """Whether ``cost`` exceeds none of the limits."""
        return self.met_but_for_latency(cost) and (self.latency_ms is None or cost.latency_ms <= self.latency_ms)

    def met_but_for_latency(self, cost: ArchCost) -> bool:
        """Whether ``cost`` meets the limits on FLOPs and parameters, the measures that grow with every choice."""
        return (self.flops is None or cost.flops <= self.flops) and (
            self.parameters is None or cost.parameters <= self.parameters
        )


def describe(limits: Limits) -> str:
    """``"at most 210M FLOPs, 5 ms, 2.2M parameters"``."""
    units = {"flops": " FLOPs", "latency_ms": " ms", "parameters": " parameters"}
    return "at most " + ", ".join(f"{_as_written(limit)}{units[name]}" for name, limit in limits.given().items())


def format_limit(name: str, limit: float) -> str:
    """A limit by the name of its field, as a user would type it: ``"210M"``, ``"0.25 ms"``."""
    return f"{_as_written(limit)} ms" if name == "latency_ms" else _as_written(limit)


def format_least(name: str, value: float) -> str:
    """``format_value`` rounded up, so that the shown value is sufficient as a limit."""
    text, more = format_value(name, value), value
    while (told := float(text.removesuffix(" ms")) if name == "latency_ms" else parse_flops(text)) < value:
        more += more - told  # double the distance until rounding reaches the next number
        text = format_value(name, more)
    return text


def format_value(name: str, value: float) -> str:
    """A cost by the name of its field, rounded: ``"204.4M"`` for FLOPs and parameters, ``"0.834 ms"`` for latency."""
    return format_latency(value) if name == "latency_ms" else format_flops(value)


def format_latency(latency_ms: float) -> str:
    """Milliseconds with three digits: ``"0.834 ms"``, ``"5.00 ms"``, ``"1230 ms"``."""
    # The rounded value decides: 9.996 has one decimal fewer than 9.99.
    digits = next((digits for digits in (3, 2, 1) if round(latency_ms, digits) < 10 ** (3 - digits)), 0)
    return f"{latency_ms:.{digits}f} ms"


def _as_written(value: float) -> str:
    """``210000000`` as ``"210M"``: to six digits, without a trailing ``.0``."""
    for scale, unit in ((10**9, "G"), (10**6, "M"), (10**3, "K")):
        if value >= scale:
            return f"{value / scale:g}{unit}"
    return f"{value:g}"


def parse_latency(text: str | int | float) -> float:
    """Milliseconds: ``5``, ``"5ms"``, ``"5000 us"`` and ``"0.005s"`` are the same.

    Raises:
        UserError: it is not a positive number with an optional us, ms or s after it.
    """
    match = _LATENCY.fullmatch(str(text).strip().lower())
    try:
        value = float(match[1]) * _UNITS[match[2] or "ms"] if match else math.nan
    except ValueError:  # for example two decimal points
        value = math.nan
    if not value > 0 or not math.isfinite(value):
        raise UserError(f"latency '{text}': give a positive number of milliseconds such as 5ms, 0.8 ms or 1.2s")
    return value


def parse_parameters(text: str | int | float) -> int:
    """A number of parameters: ``2.2M``, ``2200K`` and ``2200000`` are the same.

    Raises:
        UserError: it is not a positive number with an optional K, M or G after it.
    """
    try:
        return parse_flops(text)  # the same grammar
    except UserError:
        raise UserError(f"parameters '{text}': give a positive number such as 2.2M, 800K or 2200000") from None

"""Full precision for heads and losses: they are computed in float32, whatever precision the backbone ran in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """The function (of at least one tensor) with autocast off and its half-precision arguments as float32; float64
    stays float64.

    Casting the arguments alone is not enough: under autocast a matrix product of float32 tensors is rounded to half
    precision again.
    """

    @functools.wraps(function)
    def computed(*args: P.args, **kwargs: P.kwargs) -> R:
        device = next(value.device.type for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor))
        with torch.autocast(device, enabled=False):
            return function(*map(widened, args), **{name: widened(value) for name, value in kwargs.items()})

    return computed


def widened(value: Any) -> Any:
    """A tensor of half precision as float32, in which sums do not lose the small terms; anything else unchanged."""
    half = isinstance(value, torch.Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if half else value

"""Input sizes as they are typed, and how large they may be."""

from __future__ import annotations

import argparse
import re

from reid.errors import UserError

SMALLEST, LARGEST = 16, 2048
"""Pixels of a side. Images of persons have some hundred; far more are a typing error that takes all memory."""


def parse_size(text: str) -> tuple[int, int]:
    """Height and width of ``"256x128"``, for ``argparse``."""
    if not (match := re.fullmatch(r"(\d+)x(\d+)", text)):
        raise argparse.ArgumentTypeError(f"'{text}': give height and width in pixels, as in 256x128")
    size = int(match[1]), int(match[2])
    if not fits(size):
        raise argparse.ArgumentTypeError(f"'{text}': {WORDS}, as in 256x128")
    return size


def check_size(option: str, size: tuple[int, int]) -> None:
    """Raises UserError where a side of ``size`` is out of bounds."""
    if not fits(size):
        raise UserError(f"{option} {size[0]} {size[1]}: {WORDS}")


def fits(size: tuple[int, int]) -> bool:
    """Whether both sides are within the bounds."""
    return all(SMALLEST <= side <= LARGEST for side in size)


WORDS = f"height and width must be {SMALLEST} to {LARGEST} pixels"

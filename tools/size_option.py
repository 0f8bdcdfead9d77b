"""``--size HxW``: the option by which every tool takes the size of images."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from reid.numbers import LARGEST_SIDE, SMALLEST_SIDE

SIZE = "--size"


def add_size(parser: argparse.ArgumentParser, help: str, default: tuple[int, int] | None = None, *also: str) -> None:
    """Adds the option, read into ``size`` as ``(height, width)`` in pixels; ``also`` are older spellings of it.

    If an older spelling took two numbers, the parser must be given the arguments that ``joined`` returns.
    """
    parser.add_argument(SIZE, *also, dest="size", type=parse_size, default=default, metavar="HxW", help=help)


def parse_size(text: str) -> tuple[int, int]:
    """``(256, 128)`` from ``"256x128"``."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"'{text}': give height and width in pixels, as in 256x128")
    size = int(match[1]), int(match[2])
    if not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in size):
        raise argparse.ArgumentTypeError(
            f"'{text}': height and width must be {SMALLEST_SIDE} to {LARGEST_SIDE} pixels, as in 256x128"
        )
    return size


def joined(arguments: Sequence[str] | None, *options: str) -> list[str]:
    """The arguments (None: the process's) with the former ``--size 256 128`` rewritten as ``--size 256x128``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for place, word in enumerate(words):
        height, width = (*words[place + 1 : place + 3], "", "")[:2]
        if word in (SIZE, *options) and height.isdecimal() and width.isdecimal():
            words[place + 1 : place + 3] = [f"{height}x{width}"]
    return words

"""``--size`` of the benchmarks, as in the tools; the former ``--height 256`` means 256x128."""

from __future__ import annotations

import argparse

from tools.size_option import SIZE, parse_size


def add_size(parser: argparse.ArgumentParser, default: str) -> None:
    """The option, read as ``(height, width)`` into ``size``."""
    words = f"of the images; of a height alone the width is half (default: {default})"
    parser.add_argument(
        SIZE, "--height", dest="size", type=_size_or_height, default=parse_size(default), metavar="HxW", help=words
    )


def _size_or_height(text: str) -> tuple[int, int]:
    return parse_size(f"{text}x{int(text) // 2}" if text.isdecimal() else text)

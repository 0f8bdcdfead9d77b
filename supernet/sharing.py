"""Which weights the archs of a supernet share, where that is a choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DepthSharing = Literal["first", "ends", "own"]
"""Which of a stage's blocks a shallower stage runs: the first of them, the first and the last, or blocks of its own."""


@dataclass(frozen=True)
class Sharing:
    """How an arch's weights are taken from the supernet's.

    Attributes:
        kernel_transforms: whether a smaller kernel is a trained map of the largest one's centre (Once-for-All, Cai et
            al. 2020), or that centre itself.
        depth: ``first``: a stage of d blocks runs the first d, as in Once-for-All, so that a block is the stage's last
            in one arch and not in another. ``ends``: the first one and the last d - 1, so that a stage ends in the same
            block whatever its depth, if that is above 1. ``own``: each depth has blocks of its own, which are trained
            in fewer steps; one dimension of few-shot NAS (Zhao et al. 2021).
    """

    kernel_transforms: bool = False
    depth: DepthSharing = "first"

    def first_blocks(self, depths: tuple[int, ...]) -> tuple[int, ...]:
        """Numbers (from 0) of the held blocks that a stage of ``depths`` (ascending) can begin with."""
        return tuple(sorted({self.blocks(depths, depth)[0] for depth in depths}))

    def held(self, depths: tuple[int, ...]) -> int:
        """Number of blocks that a stage of ``depths`` (ascending) holds."""
        return sum(depths) if self.depth == "own" else depths[-1]

    def blocks(self, depths: tuple[int, ...], depth: int) -> tuple[int, ...]:
        """Numbers of the held blocks that a stage of ``depth``, one of ``depths`` (ascending), runs, in order.

        >>> [Sharing(depth=kind).blocks((1, 2, 4), 2) for kind in ("first", "ends", "own")]
        [(0, 1), (0, 3), (1, 2)]
        """
        if self.depth == "own":
            start = sum(other for other in depths if other < depth)
            return tuple(range(start, start + depth))
        if self.depth == "ends":
            return (0, *range(depths[-1] - depth + 1, depths[-1]))
        return tuple(range(depth))


PLAIN = Sharing()
"""All that can be shared is, and in the simplest way."""

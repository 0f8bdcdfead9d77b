"""Choices of omni-scale stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from supernet.omni.arch import OMNI_SCALE, OmniBlock, OmniStage
from supernet.space import StageChoices
from supernet.space.options import Option, chosen


@dataclass(frozen=True)
class OmniStageSpace(StageChoices):
    """Choices of a stage of omni-scale blocks.

    Attributes:
        stride: 2 where pooling ends the stage.
        widths, depths: for the stage.
        hidden, streams, kernels: chosen for each block separately. The n-th stream is the same in blocks of more
            streams.
        transition: for the stage; see ``OmniStage``.
    """

    stride: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    hidden: tuple[int, ...]
    streams: tuple[int, ...]
    kernels: tuple[int, ...]
    transition: tuple[bool, ...] = (False,)

    kind: ClassVar[str] = OMNI_SCALE

    def of_stage(self) -> dict[str, tuple[Option, ...]]:
        return {"transition": self.transition}

    def of_block(self) -> dict[str, tuple[Option, ...]]:
        return {"hidden": self.hidden, "streams": self.streams, "kernel": self.kernels}

    def decode(self, genome: Mapping[str, Option], prefix: str, stride: int) -> OmniStage:
        blocks = tuple(
            OmniBlock(*(genome[f"{prefix}b{block}.{name}"] for name in ("hidden", "streams", "kernel")))
            for block in range(1, genome[f"{prefix}depth"] + 1)
        )
        transition = chosen(genome, f"{prefix}transition", self.transition)
        return OmniStage(genome[f"{prefix}width"], stride, blocks, transition)

    def values(self, stage: OmniStage) -> list[Option | None]:
        blocks, depth = stage.blocks, self.depths[-1]
        row: list[Option | None] = [stage.width, len(blocks), stage.transition]
        for block in blocks[:depth]:
            row += (block.hidden, block.streams, block.kernel)
        return row + [None] * (3 * (depth - len(blocks)))

    def count(self) -> int:
        per_block = len(self.hidden) * len(self.streams) * len(self.kernels)
        return len(self.widths) * len(self.transition) * sum(per_block**depth for depth in self.depths)

"""Omni-scale stages of an arch, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from reid.errors import UserError
from supernet.arch.stage import Layer
from supernet.layers.activations import RELU

OMNI_SCALE = "omni-scale"
"""What files call this kind of block."""

STREAMS = 4
"""The most streams that a block may have: the paper's."""


@dataclass(frozen=True)
class OmniBlock:
    """One omni-scale block.

    Attributes:
        hidden: channels of its streams. OSNet has a quarter of the block's width. Multiples of 8 fill a processor's
            vector registers: other numbers take about as long as the next multiple.
        streams: number of streams, 1 to 4; the n-th is n light convolutions in a row.
        kernel: side of the light convolutions' depthwise filters (odd).
    """

    hidden: int
    streams: int
    kernel: int

    def __post_init__(self) -> None:
        if self.hidden < 1:
            raise UserError(f"block hidden {self.hidden}: must be at least 1")
        if not 1 <= self.streams <= STREAMS:
            raise UserError(f"block streams {self.streams}: must be 1 to {STREAMS}")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise UserError(f"block kernel {self.kernel}: must be odd and at least 1")


@dataclass(frozen=True)
class OmniStage:
    """Omni-scale blocks of one width, and the end of the stage; see ``supernet.arch.AnyStage``.

    The first block's shortcut is a 1x1 convolution, those of the others are the block's input itself. In OSNet the
    shortcut is a convolution where the widths differ, as they do between all its stages; with that rule, a choice of
    equal widths would remove a layer here, and a wider stage could cost less than a narrower one.

    Attributes:
        width: channels of the blocks and of the transition.
        stride: 2: 2x2 average pooling ends the stage (an odd last row or column is left out).
        transition: whether a 1x1 convolution with BN and ReLU follows the blocks, before the pooling.
    """

    width: int
    stride: int
    blocks: tuple[OmniBlock, ...]
    transition: bool = False

    kind: ClassVar[str] = OMNI_SCALE
    act: ClassVar[str] = RELU

    def __post_init__(self) -> None:
        if self.width < 1 or self.stride not in (1, 2):
            raise UserError(
                f"stage of width {self.width} and stride {self.stride}: width must be at least 1, stride 1 or 2"
            )
        if not self.blocks:
            raise UserError(f"stage of width {self.width}: needs at least one block")
        if not isinstance(self.transition, bool):
            raise UserError(f"stage of width {self.width}: transition must be true or false (given: {self.transition})")

    @property
    def needs_map(self) -> bool:
        """Whether it pools, for which both sides of the map need two pixels."""
        return self.stride == 2

    def layers(self, channels: int, height: int, width: int) -> list[Layer]:
        """One layer per block, and the transition, which is listed even if it does nothing."""
        layers = []
        for number, block in enumerate(self.blocks):
            shape = (channels, self.width, block.hidden, block.streams, block.kernel)
            layers.append(("omni-block", height, width, *shape, number == 0))
            channels = self.width
        return [*layers, ("transition", height, width, self.width, self.transition, self.stride)]

    def out_size(self, height: int, width: int) -> tuple[int, int]:
        return height // self.stride, width // self.stride

    def check_map(self, height: int, width: int) -> None:
        if min(height, width) < self.stride:
            raise UserError(f"halves a map of {height}x{width}")

"""Stages of an arch: what those of every kind can be asked, and those of MobileNetV2's inverted residual blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

from reid.errors import UserError
from supernet.layers.activations import ACTIVATIONS, RELU6

INVERTED_RESIDUAL = "inverted-residual"
"""The kind of a stage that does not name one."""

Layer = tuple
"""``(kind, input height, input width, *constructor arguments)`` of a layer in ``supernet.layer_kinds.LAYERS``; its
activation is that of its stage."""


class AnyStage(Protocol):
    """What a stage of any kind says of itself.

    Attributes:
        kind: what files call its blocks.
        width: channels that it gives.
        stride: 1 or 2, by which its map shrinks.
        blocks: values that each have a ``kernel``.
        act: the activation inside it, which the stem or the last convolution takes over where it stands beside it.
        needs_map: whether some maps are too small for it.
    """

    kind: ClassVar[str]
    width: int
    stride: int
    blocks: tuple
    act: str
    needs_map: bool

    def layers(self, channels: int, height: int, width: int) -> list[Layer]:
        """What a ``(channels, height, width)`` map goes through, in order."""

    def out_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the map that it gives."""

    def check_map(self, height: int, width: int) -> None:
        """Raises UserError, in words that follow "stage 3", where the map is too small for it."""


@dataclass(frozen=True)
class Block:
    """One inverted residual block (Sandler et al. 2018).

    Attributes:
        kernel: side of the depthwise convolution (odd).
        expand: hidden channels as a multiple of the block's input channels; 1 means no expansion convolution.
    """

    kernel: int
    expand: int

    def __post_init__(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise UserError(f"block kernel {self.kernel}: must be odd and at least 1")
        if self.expand < 1:
            raise UserError(f"block expand {self.expand}: must be at least 1")


@dataclass(frozen=True)
class Stage:
    """Blocks of one width; the first block has the stage's stride, the others stride 1 and a residual.

    Attributes:
        se: whether squeeze-and-excite gates the hidden channels of every block.
        ibn: whether every expansion convolution is followed by IBN-a in place of BN. Blocks with expand 1 have none, so
            at least one block must have a larger one: two archs are never the same network.
        act: the activation inside its blocks, one of ``supernet.layers.activations.ACTIVATIONS``.
    """

    width: int
    stride: int
    blocks: tuple[Block, ...]
    se: bool = False
    ibn: bool = False
    act: str = RELU6

    kind: ClassVar[str] = INVERTED_RESIDUAL

    def __post_init__(self) -> None:
        if self.width < 1 or self.stride not in (1, 2):
            raise UserError(f"stage of width {self.width} and stride {self.stride}: width must be >= 1, stride 1 or 2")
        if not self.blocks:
            raise UserError(f"stage of width {self.width}: needs at least one block")
        if not isinstance(self.se, bool) or not isinstance(self.ibn, bool):
            raise UserError(f"stage of width {self.width}: se and ibn must be true or false: {self.se}, {self.ibn}")
        if self.act not in ACTIVATIONS:
            raise UserError(f"stage of width {self.width}: act {self.act}: must be one of {', '.join(ACTIVATIONS)}")
        if self.ibn and not any(block.expand > 1 for block in self.blocks):
            raise UserError(f"stage of width {self.width}: ibn needs a block with expand above 1; leave it out")

    def strided_blocks(self) -> Iterator[tuple[Block, int]]:
        """Each block with its stride."""
        for position, block in enumerate(self.blocks):
            yield block, self.stride if position == 0 else 1

    @property
    def needs_map(self) -> bool:
        """One pixel has no spread that instance normalisation could divide by."""
        return self.ibn

    def layers(self, channels: int, height: int, width: int) -> list[Layer]:
        """A layer a block, see ``AnyStage``."""
        layers = []
        for block, stride in self.strided_blocks():
            shape = (channels, self.width, block.kernel, block.expand, stride)
            layers.append(("block", height, width, *shape, self.se, self.ibn and block.expand > 1))
            channels, height, width = self.width, -(-height // stride), -(-width // stride)
        return layers

    def out_size(self, height: int, width: int) -> tuple[int, int]:
        return -(-height // self.stride), -(-width // self.stride)

    def check_map(self, height: int, width: int) -> None:
        for block, stride in self.strided_blocks():
            if self.ibn and block.expand > 1 and height * width == 1:
                raise UserError("has ibn on a map of one pixel")
            height, width = -(-height // stride), -(-width // stride)

"""Stages of an arch: the interface common to all kinds, and stages of MobileNetV2's inverted residual blocks."""

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
    """Common interface of stages of any kind.

    Attributes:
        kind: what files call its blocks.
        width: output channels.
        stride: 1 or 2, the factor by which the map shrinks.
        blocks: values that each have a ``kernel``.
        act: the activation inside it, also used by the stem or the last convolution if that is next to it.
        needs_map: whether some maps are too small for it.
    """

    kind: ClassVar[str]
    width: int
    stride: int
    blocks: tuple
    act: str
    needs_map: bool

    def layers(self, channels: int, height: int, width: int) -> list[Layer]:
        """The layers that a ``(channels, height, width)`` map goes through, in order."""

    def out_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the output map."""

    def check_map(self, height: int, width: int) -> None:
        """Raises UserError, with a message to follow words such as "stage 3", if the map is too small."""


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
        ibn: whether every expansion convolution is followed by IBN-a in place of BN. At least one block must have an
            expansion convolution (expand above 1), so that two different archs are never the same network.
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
            raise UserError(
                f"stage of width {self.width} and stride {self.stride}: width must be at least 1, stride 1 or 2"
            )
        if not self.blocks:
            raise UserError(f"stage of width {self.width}: needs at least one block")
        if not isinstance(self.se, bool) or not isinstance(self.ibn, bool):
            raise UserError(
                f"stage of width {self.width}: se and ibn must be true or false (given: {self.se}, {self.ibn})"
            )
        if self.act not in ACTIVATIONS:
            raise UserError(f"stage of width {self.width}: act {self.act}: must be one of {', '.join(ACTIVATIONS)}")
        if self.ibn and not any(block.expand > 1 for block in self.blocks):
            raise UserError(f"stage of width {self.width}: ibn needs a block with expand above 1; leave ibn out")

    def strided_blocks(self) -> Iterator[tuple[Block, int]]:
        """Each block with its stride."""
        for position, block in enumerate(self.blocks):
            yield block, self.stride if position == 0 else 1

    @property
    def needs_map(self) -> bool:
        """Whether it has IBN: instance normalisation cannot divide by the spread of a single pixel."""
        return self.ibn

    def layers(self, channels: int, height: int, width: int) -> list[Layer]:
        """One layer per block; see ``AnyStage``."""
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

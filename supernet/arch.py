"""``Arch``: one fully written MobileNetV2-style network, stage by stage.

Found networks, MobileNetV2 itself and hand-written ``[expand, channels, blocks, stride]`` networks are all archs, so
all of them take the same path through building, counting, training and export.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reid.errors import UserError
from supernet.activations import ACTIVATIONS, RELU6


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
        act: the activation inside its blocks, one of ``supernet.activations.ACTIVATIONS``.
    """

    width: int
    stride: int
    blocks: tuple[Block, ...]
    se: bool = False
    ibn: bool = False
    act: str = RELU6

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


@dataclass(frozen=True)
class Arch:
    """A network: 3x3 stem (stride 2), stages, 1x1 convolution to ``last_width``, pooling, embedding, BNNeck.

    The stem has the activation of the first stage, the last convolution that of the last one.

    Attributes:
        input_size: ``(height, width)`` in pixels that the network is meant for; FLOPs are counted at it.
        stem: channels of the stem convolution.
        stages: the inverted residual stages.
        last_width: channels of the last 1x1 convolution; ``0`` leaves that convolution out.
        embedding: outputs of a linear layer after pooling, or ``None`` for the pooled feature itself.
    """

    input_size: tuple[int, int]
    stem: int
    stages: tuple[Stage, ...]
    last_width: int
    embedding: int | None = None

    def __post_init__(self) -> None:
        if len(self.input_size) != 2 or min(self.input_size) < 1:
            raise UserError(f"arch input_size {self.input_size}: must be (height, width) in pixels")
        if self.stem < 1 or self.last_width < 0 or not self.stages:
            raise UserError("arch: stem must be >= 1, last_width >= 0, and at least one stage is needed")
        if self.embedding is not None and self.embedding < 1:
            raise UserError(f"arch: embedding {self.embedding}: must be at least 1, or null for none")
        if any(stage.ibn for stage in self.stages):
            self._check_maps()

    def _check_maps(self) -> None:
        """One pixel has no spread that instance normalisation could divide by."""
        height, width = ((side + 1) // 2 for side in self.input_size)
        for number, stage in enumerate(self.stages, start=1):
            for block, stride in stage.strided_blocks():
                if stage.ibn and block.expand > 1 and height * width == 1:
                    size = "{}x{}".format(*self.input_size)
                    raise UserError(f"arch: stage {number} has ibn on a map of one pixel at {size}; take larger images")
                height, width = -(-height // stride), -(-width // stride)

    @property
    def stem_act(self) -> str:
        """The stem's activation."""
        return self.stages[0].act

    @property
    def last_act(self) -> str:
        """The last convolution's activation."""
        return self.stages[-1].act

    @property
    def feature_width(self) -> int:
        """Channels of the feature map that is pooled."""
        return self.last_width or self.stages[-1].width

    @property
    def feature_dim(self) -> int:
        """Length of the feature vector that the network gives."""
        return self.embedding or self.feature_width

    @property
    def depth(self) -> int:
        """Number of inverted residual blocks."""
        return sum(len(stage.blocks) for stage in self.stages)

    def at(self, input_size: tuple[int, int] | None) -> Arch:
        """The same network for another input size (``None``: as it is)."""
        return replace(self, input_size=tuple(input_size)) if input_size else self

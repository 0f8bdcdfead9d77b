"""``Arch``: one fully written network, stage by stage.

Found networks, MobileNetV2 itself and hand-written ``[expand, channels, blocks, stride]`` networks are all archs, so
all of them take the same path through building, counting, training and export. A stage is of one of two kinds:
``Stage``, of MobileNetV2's inverted residual blocks, or ``supernet.omni.arch.OmniStage``, of OSNet's. Their common
interface is ``AnyStage``; other code need not know which kind it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reid.errors import UserError
from supernet.arch.stage import AnyStage


@dataclass(frozen=True)
class Arch:
    """A network: stem (stride 2), stages, 1x1 convolution to ``last_width``, pooling, embedding, BNNeck.

    The stem has the activation of the first stage, the last convolution that of the last stage.

    Attributes:
        input_size: ``(height, width)`` in pixels that the network is meant for; FLOPs are counted at this size.
        stem: channels of the stem convolution.
        stages: stages of any kind, in order.
        last_width: channels of the last 1x1 convolution; ``0`` leaves that convolution out.
        embedding: outputs of a linear layer after pooling, or ``None`` for the pooled feature itself.
        stem_kernel: side of the stem convolution's filter (odd).
        stem_pool: whether 3x3 max-pooling of stride 2 follows the stem, as in OSNet and ResNets.
    """

    input_size: tuple[int, int]
    stem: int
    stages: tuple[AnyStage, ...]
    last_width: int
    embedding: int | None = None
    stem_kernel: int = 3
    stem_pool: bool = False

    def __post_init__(self) -> None:
        if len(self.input_size) != 2 or min(self.input_size) < 1:
            raise UserError(f"arch input_size {self.input_size}: must be (height, width) in pixels")
        if self.stem < 1 or self.last_width < 0 or not self.stages:
            raise UserError(
                "arch: stem must be at least 1, last_width at least 0, and there must be at least one stage"
            )
        if self.embedding is not None and self.embedding < 1:
            raise UserError(f"arch: embedding {self.embedding}: must be at least 1, or null for none")
        if self.stem_kernel < 1 or self.stem_kernel % 2 == 0:
            raise UserError(f"arch: stem_kernel {self.stem_kernel}: must be odd and at least 1")
        if not isinstance(self.stem_pool, bool):
            raise UserError(f"arch: stem_pool must be true or false (given: {self.stem_pool})")
        if any(stage.needs_map for stage in self.stages):
            self._check_maps()

    def _check_maps(self) -> None:
        for number, (stage, size) in enumerate(zip(self.stages, self.stage_sizes(), strict=True), start=1):
            try:
                stage.check_map(*size)
            except UserError as error:
                given = "{}x{}".format(*self.input_size)
                raise UserError(f"arch: stage {number} {error} at {given}; use larger images") from None

    def stage_sizes(self) -> Iterator[tuple[int, int]]:
        """Height and width of each stage's input map."""
        height, width = ((side + 1) // 2 for side in self.input_size)
        if self.stem_pool:
            height, width = (height + 1) // 2, (width + 1) // 2
        for stage in self.stages:
            yield height, width
            height, width = stage.out_size(height, width)

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
        """Length of the network's feature vector."""
        return self.embedding or self.feature_width

    @property
    def depth(self) -> int:
        """Number of blocks in all stages."""
        return sum(len(stage.blocks) for stage in self.stages)

    def at(self, input_size: tuple[int, int] | None) -> Arch:
        """The same network for another input size (``None``: unchanged)."""
        return replace(self, input_size=tuple(input_size)) if input_size else self

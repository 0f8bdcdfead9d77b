"""``Arch``: one fully written MobileNetV2-style network, stage by stage.

Found networks, MobileNetV2 itself and hand-written ``[expand, channels, blocks, stride]`` networks are all archs, so
all of them take the same path through building, counting, training and export.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from reid.errors import UserError, nearest
from supernet.activations import ACTIVATIONS, RELU6
from supernet.reading import is_whole, list_of, whole_number, whole_numbers


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


def arch_from_rows(
    rows: Sequence[Sequence[int]],
    *,
    input_size: tuple[int, int],
    stem: int = 32,
    last_width: int = 1280,
    embedding: int | None = None,
    kernel: int = 3,
) -> Arch:
    """An arch from ``[expand, channels, blocks, stride]`` rows, the form of the MobileNetV2 paper's table 2 and of
    MLR."""
    for row in rows:
        if not isinstance(row, list | tuple) or len(row) != 4 or not all(map(is_whole, row)) or row[2] < 1:
            raise UserError(f"arch row {row}: must be [expand, channels, blocks, stride] with blocks >= 1")
    stages = tuple(
        Stage(width=channels, stride=stride, blocks=(Block(kernel, expand),) * blocks)
        for expand, channels, blocks, stride in rows
    )
    return Arch(tuple(input_size), stem, stages, last_width, embedding)


def mobilenet_v2(input_size: tuple[int, int] = (256, 128)) -> Arch:
    """MobileNetV2 at width 1.0 (Sandler et al. 2018, table 2)."""
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    return arch_from_rows(rows, input_size=input_size)


def arch_to_dict(arch: Arch) -> dict:
    """Plain lists and numbers, in the order an arch file shows them; ``arch_from_dict`` reads it back equal."""
    return {
        "input_size": list(arch.input_size),
        "stem": arch.stem,
        "stages": [
            {
                "width": stage.width,
                "stride": stage.stride,
                "kernels": [block.kernel for block in stage.blocks],
                "expands": [block.expand for block in stage.blocks],
                **_extras(stage),
            }
            for stage in arch.stages
        ],
        "last_width": arch.last_width,
        "embedding": arch.embedding,
    }


def _extras(stage: Stage) -> dict:
    """What is not at its default; left out otherwise, as in files from before it could be chosen."""
    values = {"se": stage.se, "ibn": stage.ibn, "act": stage.act}
    return {key: value for key, value in values.items() if value not in (False, RELU6)}


def arch_from_dict(data: Mapping) -> Arch:
    """The arch that ``arch_to_dict`` wrote, or one in the short form with ``rows`` (see ``arch_from_rows``).

    Raises:
        UserError: a key is missing, unknown, or of the wrong form.
    """
    known = {"input_size", "stem", "last_width", "embedding", "stages", "rows", "kernel"}
    unknown = sorted(str(key) for key in set(data) - known)
    if unknown:
        raise UserError(f"arch: unknown key '{unknown[0]}'; known: {', '.join(sorted(known))}")
    if ("rows" in data) == ("stages" in data):
        raise UserError("arch: give either 'stages' or 'rows' ([expand, channels, blocks, stride] per stage)")
    try:
        size = whole_numbers(data, "input_size")
        embedding = None if data.get("embedding") is None else whole_number(data, "embedding")
        if "rows" in data:
            options = {key: whole_number(data, key) for key in ("stem", "last_width", "kernel") if key in data}
            return arch_from_rows(list_of(data, "rows"), input_size=size, embedding=embedding, **options)
        stages = tuple(_stage_from_dict(stage) for stage in list_of(data, "stages"))
        return Arch(size, whole_number(data, "stem"), stages, whole_number(data, "last_width"), embedding)
    except KeyError as missing:
        raise UserError(f"arch: key {missing} is missing") from None


def _stage_from_dict(data: Mapping) -> Stage:
    if not isinstance(data, Mapping):
        raise UserError(f"stages: each must be a mapping: {data}")
    known = {"width", "stride", "kernels", "expands", "se", "ibn", "act"}
    unknown = sorted(str(key) for key in set(data) - known)
    if unknown:
        raise UserError(f"arch: unknown key '{unknown[0]}' in a stage{nearest(unknown[0], known)}")
    kernels, expands = whole_numbers(data, "kernels"), whole_numbers(data, "expands")
    if len(kernels) != len(expands):
        raise UserError(f"arch stage of width {data['width']}: {len(kernels)} kernels but {len(expands)} expands")
    blocks = tuple(Block(kernel, expand) for kernel, expand in zip(kernels, expands, strict=True))
    extras = {key: data[key] for key in ("se", "ibn", "act") if key in data}
    return Stage(whole_number(data, "width"), whole_number(data, "stride"), blocks, **extras)

"""The choices of a stage, whatever its kind, and those of a stage of inverted residual blocks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from reid.errors import UserError
from supernet.arch import INVERTED_RESIDUAL, AnyStage, Block, Stage
from supernet.layers.activations import RELU6
from supernet.space.options import Option, chosen


class StageChoices(ABC):
    """What a space asks of the choices of one of its stages; each kind of block has a subclass.

    Choices are named as within the stage: ``width``, ``depth``, then those of the stage, then ``b1.kernel``, ...

    Attributes:
        kind: see ``AnyStage``.
        stride: that its stages have; no choice.
        widths, depths: for the stage.
    """

    kind: ClassVar[str]
    stride: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]

    @abstractmethod
    def of_stage(self) -> dict[str, tuple[Option, ...]]:
        """Choices for the stage beside its width and depth."""

    @abstractmethod
    def of_block(self) -> dict[str, tuple[Option, ...]]:
        """Choices for each block apart."""

    @abstractmethod
    def decode(self, genome: Mapping[str, Option], prefix: str, stride: int) -> AnyStage:
        """The stage that a genome stands for; it calls the choices as they are called here, behind ``prefix``."""

    @abstractmethod
    def values(self, stage: AnyStage) -> list[Option | None]:
        """What a stage of this kind took of each of ``choices``, in their order; ``None`` where a choice has no say."""

    @abstractmethod
    def count(self) -> int:
        """How many different stages there are."""

    def choices(self) -> dict[str, tuple[Option, ...]]:
        """Every choice and its options, those that have one option too."""
        choices = {"width": self.widths, "depth": self.depths, **self.of_stage()}
        for block in range(1, max(self.depths, default=0) + 1):
            choices |= {f"b{block}.{name}": options for name, options in self.of_block().items()}
        return choices

    def check(self, where: str) -> None:  # noqa: B027  (there may be nothing to check)
        """Raises UserError, which begins with ``where``, where choices do not fit together."""

    def may_idle(self, name: str) -> bool:
        """Whether some stages have no use for the choice ``name``: those that leave its block out."""
        block, dot, _ = name.partition(".")
        return bool(dot) and int(block[1:]) > self.depths[0]


@dataclass(frozen=True)
class StageSpace(StageChoices):
    """Choices of a stage of inverted residual blocks.

    Attributes:
        stride: of its first block.
        widths, depths: for the stage.
        kernels, expands: chosen for each block apart.
        se, ibn, acts: for the stage; see ``Stage``. IBN needs a choice of ``expands`` above 1.
    """

    stride: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    expands: tuple[int, ...]
    se: tuple[bool, ...] = (False,)
    ibn: tuple[bool, ...] = (False,)
    acts: tuple[str, ...] = (RELU6,)

    kind: ClassVar[str] = INVERTED_RESIDUAL

    def of_stage(self) -> dict[str, tuple[Option, ...]]:
        return {"se": self.se, "ibn": self.ibn, "act": self.acts}

    def of_block(self) -> dict[str, tuple[Option, ...]]:
        return {"kernel": self.kernels, "expand": self.expands}

    def check(self, where: str) -> None:
        if True in self.ibn and self.expands[-1] == 1:
            raise UserError(f"{where}.ibn: there is no choice of expand above 1 for it")

    def decode(self, genome: Mapping[str, Option], prefix: str, stride: int) -> Stage:
        """IBN does not count where no block has an expansion."""
        blocks = tuple(
            Block(genome[f"{prefix}b{block}.kernel"], genome[f"{prefix}b{block}.expand"])
            for block in range(1, genome[f"{prefix}depth"] + 1)
        )
        ibn = chosen(genome, f"{prefix}ibn", self.ibn) and _expand(blocks)
        se, act = chosen(genome, f"{prefix}se", self.se), chosen(genome, f"{prefix}act", self.acts)
        return Stage(genome[f"{prefix}width"], stride, blocks, se, ibn, act)

    def values(self, stage: Stage) -> list[Option | None]:
        blocks, depth = stage.blocks, self.depths[-1]
        ibn = stage.ibn if stage.ibn or _expand(blocks) else None
        row: list[Option | None] = [stage.width, len(blocks), stage.se, ibn, stage.act]
        for block in blocks[:depth]:
            row += (block.kernel, block.expand)
        return row + [None] * (2 * (depth - len(blocks)))

    def count(self) -> int:
        per_block = len(self.kernels) * len(self.expands)
        bare = len(self.kernels) if 1 in self.expands else 0  # kinds of block that IBN says nothing to
        blocks = sum(len(self.ibn) * (per_block**depth - bare**depth) + bare**depth for depth in self.depths)
        return len(self.widths) * len(self.se) * len(self.acts) * blocks

    def may_idle(self, name: str) -> bool:
        return self.expands[0] == 1 if name == "ibn" else super().may_idle(name)


def _expand(blocks: Sequence[Block]) -> bool:
    """Whether any block has an expansion, and so what IBN can be of."""
    return any(block.expand > 1 for block in blocks)

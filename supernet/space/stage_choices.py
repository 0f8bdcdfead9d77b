"""Choices of a stage: the interface for every kind of block, and the choices for inverted residual blocks."""

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
    """Interface of the choices of one stage; each kind of block has a subclass.

    Choices have their names within the stage: ``width``, ``depth``, then others of the stage, then ``b1.kernel``, ...

    Attributes:
        kind: see ``AnyStage``.
        stride: of its stages; not a choice.
        widths, depths: for the stage.
    """

    kind: ClassVar[str]
    stride: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]

    @abstractmethod
    def of_stage(self) -> dict[str, tuple[Option, ...]]:
        """Choices for the stage as a whole, besides its width and depth."""

    @abstractmethod
    def of_block(self) -> dict[str, tuple[Option, ...]]:
        """Choices for each block separately."""

    @abstractmethod
    def decode(self, genome: Mapping[str, Option], prefix: str, stride: int) -> AnyStage:
        """The stage that a genome stands for; its names are those of ``choices`` with ``prefix`` before them."""

    @abstractmethod
    def values(self, stage: AnyStage) -> list[Option | None]:
        """The option of ``stage`` for each of ``choices``, in their order; ``None`` where a choice has no effect."""

    @abstractmethod
    def count(self) -> int:
        """Number of different stages."""

    def choices(self) -> dict[str, tuple[Option, ...]]:
        """Options of every choice, by its name, including choices with one option."""
        choices = {"width": self.widths, "depth": self.depths, **self.of_stage()}
        for block in range(1, max(self.depths, default=0) + 1):
            choices |= {f"b{block}.{name}": options for name, options in self.of_block().items()}
        return choices

    def check(self, where: str) -> None:  # noqa: B027  (there may be nothing to check)
        """Raises UserError, whose message begins with ``where``, if choices do not fit together."""

    def may_idle(self, name: str) -> bool:
        """Whether the choice ``name`` has no effect in some stages: those that leave its block out."""
        block, dot, _ = name.partition(".")
        return bool(dot) and int(block[1:]) > self.depths[0]


@dataclass(frozen=True)
class StageSpace(StageChoices):
    """Choices of a stage of inverted residual blocks.

    Attributes:
        stride: of its first block.
        widths, depths: for the stage.
        kernels, expands: chosen for each block separately.
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
            raise UserError(f"{where}.ibn: it needs a choice of expand above 1; add one, or leave ibn out")

    def decode(self, genome: Mapping[str, Option], prefix: str, stride: int) -> Stage:
        """IBN is ignored where no block has an expansion."""
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
        bare = len(self.kernels) if 1 in self.expands else 0  # kinds of block that IBN does not change
        blocks = sum(len(self.ibn) * (per_block**depth - bare**depth) + bare**depth for depth in self.depths)
        return len(self.widths) * len(self.se) * len(self.acts) * blocks

    def may_idle(self, name: str) -> bool:
        return self.expands[0] == 1 if name == "ibn" else super().may_idle(name)


def _expand(blocks: Sequence[Block]) -> bool:
    """Whether any block has an expansion, which is what IBN normalises."""
    return any(block.expand > 1 for block in blocks)

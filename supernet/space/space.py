"""``Space``: which archs a search may choose from; options go from cheap to expensive."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from reid.errors import UserError
from reid.words import counted
from supernet.arch import Arch
from supernet.space.options import Option, check_options, check_sizes, chosen, size_words
from supernet.space.stage_choices import StageChoices

_UNLISTED_ALONE = ("se", "ibn", "act", "transition", "stem_kernel", "last_stride", "input_size")
"""Kinds of choice that are not dimensions when they have one option, so that genomes fit spaces without them too."""


@dataclass(frozen=True)
class Space:
    """A search space; every tuple goes from cheap to expensive, without repeats.

    Attributes:
        name: what files and messages call it.
        input_size: ``(height, width)`` of every arch in it, or the largest of several sizes.
        stems, last_widths: choices for the stem's and the last convolution's channels.
        stages: choices per stage, of any kinds: ``StageSpace`` or ``supernet.omni.space.OmniStageSpace``.
        embedding: see ``Arch.embedding``; the same for every arch.
        last_strides: choices for the stride of the last stage that has stride 2, descending from 2.
        smaller_sizes: where input sizes are a choice, all but the largest. Each arch states its own size; the caller
            resizes the images to it.
        stem_kernels: choices for the side of the stem's filter.
        stem_pool: see ``Arch.stem_pool``; the same for every arch.
    """

    name: str
    input_size: tuple[int, int]
    stems: tuple[int, ...]
    stages: tuple[StageChoices, ...]
    last_widths: tuple[int, ...]
    embedding: int | None = None
    last_strides: tuple[int, ...] = (2,)
    smaller_sizes: tuple[tuple[int, int], ...] = ()
    stem_kernels: tuple[int, ...] = (3,)
    stem_pool: bool = False

    def __post_init__(self) -> None:
        check_sizes(self.name, self.input_sizes)
        choices = self.all_choices()
        for name, options in choices.items():
            if name != "input_size":
                check_options(self.name, name, options)
        for number, stage in enumerate(self.stages, start=1):
            stage.check(f"space {self.name}: s{number}")
        if self.last_strides != (2,) and self.last_strided is None:
            raise UserError(f"space {self.name}: last_stride can only be chosen if a stage has stride 2; leave it out")
        # ``Arch`` itself checks what is not a choice (strides, embedding) and maps that are too small: decode the arch
        # with the last option of every choice and the smallest maps.
        smallest = {name: choices[name][0] for name in ("last_stride", "input_size")}
        decode(self, {name: options[-1] for name, options in choices.items()} | smallest)
        self._check_last_widths()

    def _check_last_widths(self) -> None:
        """Raises UserError if 0 is not the cheapest last width. Without a last convolution the embedding takes all
        channels of the last stage, which may cost more than a narrow convolution before it: in parameters, and in FLOPs
        on a map of one pixel."""
        none, *widths = self.last_widths
        if none or not widths or not self.embedding:
            return
        inputs, width, outputs = self.stages[-1].widths[-1], widths[0], self.embedding
        if inputs + inputs * outputs > width * (inputs + 3 + outputs):  # of pooling, convolution, BN, embedding
            raise UserError(
                f"space {self.name}: last_widths: {inputs} channels into an embedding of {outputs} cost more than a "
                f"last convolution of {width} between them, so 0 is not the cheapest; leave 0 or {width} out"
            )

    @property
    def input_sizes(self) -> tuple[tuple[int, int], ...]:
        """Every ``(height, width)`` that an arch may have, ascending."""
        return (*self.smaller_sizes, self.input_size)

    @property
    def last_strided(self) -> int | None:
        """Index of the stage that ``last_strides`` applies to; ``None`` where no stage has stride 2."""
        return max((index for index, stage in enumerate(self.stages) if stage.stride == 2), default=None)

    def dimensions(self) -> Mapping[str, tuple[Option, ...]]:
        """Options of every choice, by its name: ``stem``, ``s2.width``, ``s2.depth``, ``s2.b1.kernel``, ..., and where
        they have several options ``s2.se``, ``s2.ibn``, ``s2.act``, ``last_stride``, ``input_size``.

        Do not modify it: every call returns the same dictionary."""
        return self._dimensions

    @cached_property
    def _dimensions(self) -> dict[str, tuple[Option, ...]]:
        # Cached: a search needs it several times for each arch that it draws.
        return {
            name: options
            for name, options in self.all_choices().items()
            if len(options) > 1 or name.rpartition(".")[2] not in _UNLISTED_ALONE
        }

    def all_choices(self) -> Mapping[str, tuple[Option, ...]]:
        """``dimensions`` plus the choices left out there because they have one option; not to be modified either."""
        return self._all_choices

    @cached_property
    def _all_choices(self) -> dict[str, tuple[Option, ...]]:
        choices: dict[str, tuple[Option, ...]] = {"stem": self.stems, "stem_kernel": self.stem_kernels}
        for number, stage in enumerate(self.stages, start=1):
            choices |= {f"s{number}.{name}": options for name, options in stage.choices().items()}
        choices["last_width"] = self.last_widths
        choices["last_stride"] = self.last_strides
        choices["input_size"] = tuple(map(size_words, self.input_sizes))
        return choices

    def at(self, input_size: tuple[int, int] | None) -> Space:
        """The same choices at a single other input size (``None``: unchanged)."""
        return replace(self, input_size=tuple(input_size), smaller_sizes=()) if input_size else self


def decode(space: Space, genome: Mapping[str, Option]) -> Arch:
    """The arch that a genome stands for.

    Choices of blocks beyond a stage's depth are ignored, and so is IBN where no block has an expansion.
    """
    stages, last_strided = [], space.last_strided
    for number, stage in enumerate(space.stages, start=1):
        last = number - 1 == last_strided
        stride = chosen(genome, "last_stride", space.last_strides) if last else stage.stride
        stages.append(stage.decode(genome, f"s{number}.", stride))
    size = space.input_size
    if space.smaller_sizes:
        size = {size_words(each): each for each in space.input_sizes}[genome["input_size"]]
    kernel = chosen(genome, "stem_kernel", space.stem_kernels)
    width, last = genome["stem"], genome["last_width"]
    return Arch(size, width, tuple(stages), last, space.embedding, kernel, space.stem_pool)


def options_of(space: Space, arch: Arch) -> list[Option | None]:
    """The option of ``arch`` for each of ``Space.all_choices``, in their order; ``None`` where a choice has no effect.

    Whether the space has these options is not checked.

    Raises:
        UserError: ``arch`` differs where the space has no choice: other stages, more blocks, another kind of block.
    """
    if len(arch.stages) != len(space.stages):
        raise UserError(f"the arch is not in space {space.name}: it has {len(arch.stages)} stages")
    if arch.stem_pool != space.stem_pool:
        raise UserError(f"the arch is not in space {space.name}: its stem_pool is {arch.stem_pool}")
    row: list[Option | None] = [arch.stem, arch.stem_kernel]
    for number, (stage, own) in enumerate(zip(arch.stages, space.stages, strict=True), start=1):
        if stage.kind != own.kind:
            raise UserError(f"the arch is not in space {space.name}: s{number} is of {stage.kind} blocks")
        if len(stage.blocks) > own.depths[-1]:
            raise UserError(f"the arch is not in space {space.name}: s{number}.depth is {len(stage.blocks)}")
        row += own.values(stage)
    stride = None if space.last_strided is None else arch.stages[space.last_strided].stride
    return [*row, arch.last_width, stride, size_words(arch.input_size)]


def count_archs(space: Space) -> int:
    """Number of different archs in the space (choices of inactive blocks do not count, nor does IBN without
    expansion)."""
    total = len(space.stems) * len(space.stem_kernels) * len(space.last_widths)
    total *= len(space.last_strides) * len(space.input_sizes)
    return total * math.prod(stage.count() for stage in space.stages)


def sizes_words(space: Space) -> str:
    """The input sizes: ``"256x128"``, or where they are a choice ``"48x24 or 64x32"``."""
    return " or ".join(map(size_words, space.input_sizes))


def describe(space: Space) -> str:
    """One line for the start of a job's output: name, input sizes, number of archs."""
    archs = math.log10(count_archs(space))
    several = sum(len(options) > 1 for options in space.dimensions().values())
    return f"space {space.name}: {sizes_words(space)}, {counted(several, 'choice')}, 10^{archs:.1f} archs"

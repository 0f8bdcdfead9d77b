"""``Space``: which archs a search may choose from; options go from cheap to dear."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from reid.errors import UserError
from supernet.activations import RELU6
from supernet.arch import Arch, Block, Stage
from supernet.options import Option, check_options, check_sizes, size_words

_UNLISTED_ALONE = ("se", "ibn", "act", "last_stride", "input_size")
"""Kinds of choice that are no dimension where there is one option: genomes are then those of spaces without them."""


Genome = dict[str, Option]
"""Value chosen for each dimension, by the dimension's name, in the order of ``Space.dimensions``."""


@dataclass(frozen=True)
class StageSpace:
    """Choices of one stage.

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


@dataclass(frozen=True)
class Space:
    """A search space around MobileNetV2; every tuple goes from cheap to dear, without repeats.

    Attributes:
        name: what files and messages call it.
        input_size: ``(height, width)`` of every arch in it, or the largest of several.
        stems, last_widths: choices for the stem's and the last convolution's channels.
        stages: choices per stage.
        embedding: see ``Arch.embedding``; the same for every arch.
        last_strides: choices for the stride of the last stage that has stride 2, from 2 down.
        smaller_sizes: where input sizes are a choice, all but the largest. An arch says its own; whoever runs it
            resizes the images to it.
    """

    name: str
    input_size: tuple[int, int]
    stems: tuple[int, ...]
    stages: tuple[StageSpace, ...]
    last_widths: tuple[int, ...]
    embedding: int | None = None
    last_strides: tuple[int, ...] = (2,)
    smaller_sizes: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        check_sizes(self.name, self.input_sizes)
        choices = self.all_choices()
        for name, options in choices.items():
            if name != "input_size":
                check_options(self.name, name, options)
        for number, stage in enumerate(self.stages, start=1):
            if True in stage.ibn and stage.expands[-1] == 1:
                raise UserError(f"space {self.name}: s{number}.ibn: there is no choice of expand above 1 for it")
        if self.last_strides != (2,) and self.last_strided is None:
            raise UserError(f"space {self.name}: last_stride: no stage has stride 2")
        # What is no choice (strides, embedding) is checked by the archs themselves, as are the maps that IBN needs.
        greatest = {name: options[-1] for name, options in choices.items()}
        decode(self, greatest)
        decode(self, greatest | {name: choices[name][0] for name in ("last_stride", "input_size")})
        self._check_last_widths()

    def _check_last_widths(self) -> None:
        """Without a last convolution the embedding has the last stage's width for its inputs, which may cost more than
        a narrow convolution before it: in parameters, and in FLOPs on a map of one pixel."""
        none, *widths = self.last_widths
        if none or not widths or not self.embedding:
            return
        inputs, width, outputs = self.stages[-1].widths[-1], widths[0], self.embedding
        if inputs + inputs * outputs > width * (inputs + 3 + outputs):  # of pooling, convolution, BN, embedding
            raise UserError(
                f"space {self.name}: last_widths: {inputs} channels into an embedding of {outputs} cost more than a "
                f"last convolution of {width} between them, so 0 is not the cheapest: leave 0 or {width} out"
            )

    @property
    def input_sizes(self) -> tuple[tuple[int, int], ...]:
        """Every ``(height, width)`` that an arch may have, ascending."""
        return (*self.smaller_sizes, self.input_size)

    @property
    def last_strided(self) -> int | None:
        """Index of the stage whose stride ``last_strides`` is about; ``None`` where no stage has stride 2."""
        return max((index for index, stage in enumerate(self.stages) if stage.stride == 2), default=None)

    def dimensions(self) -> Mapping[str, tuple[Option, ...]]:
        """Every choice to make, by name, and its options: ``stem``, ``s2.width``, ``s2.depth``, ``s2.b1.kernel``, ...,
        and where there are several options ``s2.se``, ``s2.ibn``, ``s2.act``, ``last_stride``, ``input_size``.

        To be read only: it is the same dictionary at every call."""
        return self._dimensions

    @cached_property
    def _dimensions(self) -> dict[str, tuple[Option, ...]]:
        # Made once: a search asks several times for each arch that it draws.
        return {
            name: options
            for name, options in self.all_choices().items()
            if len(options) > 1 or name.rpartition(".")[2] not in _UNLISTED_ALONE
        }

    def all_choices(self) -> dict[str, tuple[Option, ...]]:
        """``dimensions`` and the choices that are none, since there is one option only."""
        choices: dict[str, tuple[Option, ...]] = {"stem": self.stems}
        for number, stage in enumerate(self.stages, start=1):
            choices[f"s{number}.width"] = stage.widths
            choices[f"s{number}.depth"] = stage.depths
            choices |= {f"s{number}.se": stage.se, f"s{number}.ibn": stage.ibn, f"s{number}.act": stage.acts}
            for block in range(1, max(stage.depths, default=0) + 1):
                choices[f"s{number}.b{block}.kernel"] = stage.kernels
                choices[f"s{number}.b{block}.expand"] = stage.expands
        choices["last_width"] = self.last_widths
        choices["last_stride"] = self.last_strides
        choices["input_size"] = tuple(map(size_words, self.input_sizes))
        return choices

    def at(self, input_size: tuple[int, int] | None) -> Space:
        """The same choices at one other input size (``None``: as it is)."""
        return replace(self, input_size=tuple(input_size), smaller_sizes=()) if input_size else self


def decode(space: Space, genome: Mapping[str, Option]) -> Arch:
    """The arch that a genome stands for.

    Choices of blocks beyond a stage's depth do not count, nor does IBN where no block has an expansion.
    """
    stages, last_strided = [], space.last_strided
    for number, stage in enumerate(space.stages, start=1):
        blocks = tuple(
            Block(genome[f"s{number}.b{block}.kernel"], genome[f"s{number}.b{block}.expand"])
            for block in range(1, genome[f"s{number}.depth"] + 1)
        )
        last = number - 1 == last_strided
        stride = _chosen(genome, "last_stride", space.last_strides) if last else stage.stride
        ibn = _chosen(genome, f"s{number}.ibn", stage.ibn) and any(block.expand > 1 for block in blocks)
        se, act = _chosen(genome, f"s{number}.se", stage.se), _chosen(genome, f"s{number}.act", stage.acts)
        stages.append(Stage(genome[f"s{number}.width"], stride, blocks, se, ibn, act))
    size = space.input_size
    if space.smaller_sizes:
        size = {size_words(each): each for each in space.input_sizes}[genome["input_size"]]
    return Arch(size, genome["stem"], tuple(stages), genome["last_width"], space.embedding)


def _chosen(genome: Mapping[str, Option], name: str, options: Sequence[Option]) -> Option:
    """The genome's option, or the only one there is, which a genome does not name."""
    return genome[name] if len(options) > 1 else options[0]


def count_archs(space: Space) -> int:
    """How many different archs the space holds (choices of inactive blocks do not count, nor IBN without
    expansion)."""
    total = len(space.stems) * len(space.last_widths) * len(space.last_strides) * len(space.input_sizes)
    for stage in space.stages:
        per_block = len(stage.kernels) * len(stage.expands)
        bare = len(stage.kernels) if 1 in stage.expands else 0  # kinds of block that IBN says nothing to
        blocks = sum(len(stage.ibn) * (per_block**depth - bare**depth) + bare**depth for depth in stage.depths)
        total *= len(stage.widths) * len(stage.se) * len(stage.acts) * blocks
    return total


def describe(space: Space) -> str:
    """One line for a job's opening: name, input sizes, number of archs."""
    sizes = " or ".join(map(size_words, space.input_sizes))
    archs = math.log10(count_archs(space))
    return f"space {space.name}: {sizes}, {len(space.dimensions())} choices, 10^{archs:.1f} archs"

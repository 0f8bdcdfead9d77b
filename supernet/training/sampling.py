"""Which archs a training step of the supernet runs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from random import Random
from typing import Literal, Self

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from reid.config import STRICT
from reid.numbers import NonNegative, Several, Whole
from supernet.arch import Arch
from supernet.space import Space, decode
from supernet.space.genome import largest, sample, smallest

Draw = Callable[[Random, float], Iterator[Arch]]
"""``draw(random, share)``: random archs without end, ``share`` (0 to 1) of the way from the least FLOPs to the most."""


@dataclass(frozen=True, config=STRICT)
class SamplingConfig:
    """The archs of a step.

    Attributes:
        archs: number of random archs per step.
        largest_every: the largest arch is in every step (1), in every n-th, or in none (0). In steps with it, it
            teaches the others; in steps without it, they learn from labels alone.
        spread: ``uniform`` draws every choice uniformly, which nearly always gives archs of middling FLOPs; ``flops``
            spreads them evenly over the space's FLOPs, so that large and small ones are trained equally often.
        flops: the least and the most FLOPs of random archs, as ``search.flops_words.parse_flops`` reads them, counted
            as the search counts them; ``None`` for the whole range of the space. A supernet that is searched at one
            limit need not learn archs that cost half or twice as much. For ``spread: flops``.
        smallest: whether the smallest arch is in every step too (the sandwich rule, Yu and Huang 2019) or has to be
            drawn like any other. An arch trained in every step is scored too well, and so are the archs near it.
        attentive: ``best`` or ``worst``: of ``attentive_of`` archs drawn for a place, the one with the lowest or the
            highest loss of its own on the batch is trained (AttentiveNAS, Wang et al. 2021); ``none`` draws one.
        attentive_of: number of archs compared; each of them costs a forward pass.
        warmup_epochs: epochs at the start in which the largest arch is trained alone.
    """

    archs: Whole = 3
    largest_every: Whole = 1
    spread: Literal["uniform", "flops"] = "flops"
    flops: tuple[str | int | float, str | int | float] | None = None
    smallest: bool = False
    attentive: Literal["none", "best", "worst"] = "none"
    attentive_of: Several = 3
    warmup_epochs: NonNegative = 0.0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.archs and not self.smallest and self.largest_every != 1:
            raise ValueError(
                "archs 0: unless largest_every is 1, some steps would train nothing; set archs to at least 1"
            )
        if self.flops is not None and self.spread != "flops":
            raise ValueError("flops: is only for spread: flops; leave it out, or set spread: flops")
        return self

    def with_largest(self, step: int, epoch: float) -> bool:
        """Whether the largest arch is in a step; it is then first, and teaches the others."""
        return epoch < self.warmup_epochs or (self.largest_every > 0 and step % self.largest_every == 0)


def uniform(space: Space) -> Draw:
    """Draws every choice uniformly, at whatever FLOPs that gives."""

    def draw(random: Random, share: float) -> Iterator[Arch]:
        while True:
            yield decode(space, sample(space, random))

    return draw


def step_archs(
    space: Space, config: SamplingConfig, draw: Draw, seed: int, step: int, epoch: float
) -> tuple[tuple[Arch, ...], ...]:
    """The places of a step: the largest and the smallest arch if ``config`` includes them, and the random ones.

    A place has one arch, or several of which attentive sampling takes one. The random places divide the range of FLOPs
    among themselves, so that every step has small and large archs. A pure function of its arguments: a resumed training
    draws the same archs as an uninterrupted one.
    """
    if epoch < config.warmup_epochs:
        return ((largest(space),),)
    each = 1 if config.attentive == "none" else config.attentive_of
    random = Random(f"{seed}/{step}")
    places = []
    for place in range(config.archs):
        # One share for all archs of a place: archs of different sizes would be compared by size alone.
        share = (place + random.random()) / config.archs
        places.append(tuple(itertools.islice(draw(random, share), each)))
    fixed = ((largest(space),),) if config.with_largest(step, epoch) else ()
    fixed += ((smallest(space),),) if config.smallest else ()
    return (*fixed, *places)

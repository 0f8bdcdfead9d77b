"""``Row``: a network with a recipe and seeds; ``Ladder``: variants of one row that each differ from it in one thing."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from reid.config import STRICT
from reid.numbers import Count, Epochs, Seed, Trained

Name = Annotated[str, Field(min_length=1, max_length=60)]
Overrides = tuple[str, ...]


def _once(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("each may occur only once")
    return seeds


Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_once)]


@dataclass(frozen=True, config=STRICT)
class Found:
    """The ``number``-th best arch of a search."""

    search: Name
    number: Count = 1


@dataclass(frozen=True, config=STRICT)
class RandomArchs:
    """``count`` random archs within 5 % of the FLOPs of a search's best arch (and within the search's limits) or of a
    named network. None of them is that arch."""

    search: Name | None = None
    network: Name | None = None
    count: Trained = 3
    seed: Seed = 0

    @model_validator(mode="after")
    def _of_one(self) -> Self:
        if (self.search is None) == (self.network is None):
            raise ValueError("give either search or network: whose FLOPs the archs have")
        return self


@dataclass(frozen=True, config=STRICT)
class ArchChange:
    """Changes to an arch before it is trained; anything left out stays the same.

    Attributes:
        last_stride: of the last stage that halves its map.
        se, ibn: in every stage, or in none. IBN-a is left out of stages at the smallest map and of those without an
            expansion, as in ``configs/spaces/mlr-210m-plus.yaml``.
        act: activation of every stage.
        kernel: of every depthwise convolution.
    """

    last_stride: Literal[1, 2] | None = None
    se: bool | None = None
    ibn: bool | None = None
    act: Literal["relu6", "h-swish"] | None = None
    kernel: Count | None = None


@dataclass(frozen=True, config=STRICT)
class Inherit:
    """A training that starts from the supernet's weights for the arch and runs for ``epochs``, to which the recipe's
    schedule is scaled (``tools/retrain.py --inherit``)."""

    epochs: Epochs


@dataclass(frozen=True, config=STRICT)
class Row:
    """A network that is trained by one recipe with one or more seeds.

    Attributes:
        name: as tables show it.
        network, found, random: the network, by exactly one of the three: a name or arch file as for
            ``tools/retrain.py``, an arch of a search, or random archs, each of which becomes a row.
        recipe: as for ``tools/retrain.py``; ``None`` for the plan's.
        epochs: length to which the recipe's schedule is scaled.
        inherit: see ``Inherit``; overrides of the supernet and the search then apply too. ``None`` for from scratch.
        batch: ``32x4`` for batches of 32 identities with 4 images each, to which the recipe's rates are scaled.
        change: see ``ArchChange``.
        teacher: a row from whose first seed it learns, as ``set`` states (``retrain.losses.distillation...``).
        published: the published row to compare it with.
    """

    name: Name
    network: Name | None = None
    found: Found | None = None
    random: RandomArchs | None = None
    recipe: Name | None = None
    epochs: Epochs | None = None
    inherit: Inherit | None = None
    batch: Name | None = None
    set: Overrides = ()
    seeds: Seeds = (0,)
    change: ArchChange | None = None
    teacher: Name | None = None
    published: Name | None = None

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        if sum(each is not None for each in (self.network, self.found, self.random)) != 1:
            raise ValueError("give one of network, found and random")
        if self.inherit is not None and self.search is None:
            raise ValueError("inherit is for archs of a search, whose supernet has weights for them; leave it out")
        if self.inherit is not None and self.epochs is not None:
            raise ValueError("inherit.epochs and epochs both set the length of the training; leave epochs out")
        return self

    @property
    def search(self) -> str | None:
        """The search that the network comes from, if any."""
        return next((each.search for each in (self.found, self.random) if each is not None), None)


@dataclass(frozen=True, config=STRICT)
class Lever:
    """One thing that differs from the base row; fields as in ``Row``. ``set`` is added to the base row's."""

    name: Name
    recipe: Name | None = None
    epochs: Epochs | None = None
    batch: Name | None = None
    set: Overrides = ()
    change: ArchChange | None = None
    teacher: Name | None = None
    seeds: Seeds | None = None

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.recipe or self.epochs or self.batch or self.set or self.change or self.teacher):
            raise ValueError(f"lever {self.name} changes nothing; give recipe, epochs, batch, set, change or teacher")
        return self


@dataclass(frozen=True, config=STRICT)
class Ladder:
    """An ablation: a row and its levers, one at a time; ``also`` names rows that differ from it in one thing too."""

    row: Name
    levers: tuple[Lever, ...] = ()
    also: tuple[Name, ...] = ()

"""``Plan``: what the whole experiment consists of, as a YAML file. A row is a network with a recipe and its seeds."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from reid.config import STRICT

Name = Annotated[str, Field(min_length=1, max_length=60)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]
Overrides = tuple[str, ...]


@dataclass(frozen=True, config=STRICT)
class SupernetPart:
    """A supernet that is trained; ``set`` are ``a.b=c`` overrides of the plan's config, as everywhere here."""

    name: Name
    set: Overrides = ()
    seed: Seed = 0


@dataclass(frozen=True, config=STRICT)
class SearchPart:
    """A search of a supernet under a FLOPs limit; ``learn_from`` is a ranking whose trainings say what candidates are
    worth."""

    name: Name
    supernet: Name
    flops: str | int
    strategy: Literal["evolution", "pareto", "random"] = "evolution"
    learn_from: Name | None = None
    set: Overrides = ()
    seed: Seed = 0


@dataclass(frozen=True, config=STRICT)
class Found:
    """The ``number``-th best arch of a search."""

    search: Name
    number: Count = 1


@dataclass(frozen=True, config=STRICT)
class RandomArchs:
    """``count`` random archs within 5 % of the FLOPs of a search's best arch, or of a network, none of them that."""

    search: Name | None = None
    network: Name | None = None
    count: Count = 3
    seed: Seed = 0

    @model_validator(mode="after")
    def _of_one(self) -> Self:
        if (self.search is None) == (self.network is None):
            raise ValueError("give either search or network: whose FLOPs the archs have")
        return self


@dataclass(frozen=True, config=STRICT)
class ArchChange:
    """What is changed in an arch before it is trained; what is left out stays.

    Attributes:
        last_stride: of the last stage that halves its map.
        se, ibn: in every stage, or none; IBN-a not in stages at the smallest map nor in those without an expansion, as
            in ``configs/spaces/mlr-210m-plus.yaml``.
        act: of every stage.
        kernel: of every depthwise convolution.
    """

    last_stride: Literal[1, 2] | None = None
    se: bool | None = None
    ibn: bool | None = None
    act: Literal["relu6", "h-swish"] | None = None
    kernel: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True, config=STRICT)
class Row:
    """A network that is trained by one recipe with one or more seeds.

    Attributes:
        name: what tables call it.
        network, found, random: one of the three says which network it is: a name or arch file as for
            ``tools/retrain.py``, an arch of a search, or random archs, which are a row each.
        recipe: as for ``tools/retrain.py``; ``None`` for the plan's.
        epochs: the recipe's schedule is scaled to so many.
        batch: ``32x4`` for batches of 32 identities with 4 images each, the recipe's rates scaled to them.
        change: see there.
        teacher: a row whose first seed it learns from; how, ``set`` must say (``retrain.losses.distillation...``).
        published: the published row that it is held against.
    """

    name: Name
    network: Name | None = None
    found: Found | None = None
    random: RandomArchs | None = None
    recipe: Name | None = None
    epochs: Count | None = None
    batch: Name | None = None
    set: Overrides = ()
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    change: ArchChange | None = None
    teacher: Name | None = None
    published: Name | None = None

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        if sum(each is not None for each in (self.network, self.found, self.random)) != 1:
            raise ValueError("give one of network, found and random")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: each must be there once")
        return self


@dataclass(frozen=True, config=STRICT)
class Lever:
    """One thing that is done otherwise than in the base row; see ``Row``. ``set`` comes after the base row's."""

    name: Name
    recipe: Name | None = None
    epochs: Count | None = None
    batch: Name | None = None
    set: Overrides = ()
    change: ArchChange | None = None
    teacher: Name | None = None
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.recipe or self.epochs or self.batch or self.set or self.change or self.teacher):
            raise ValueError(f"lever {self.name} changes nothing; give recipe, epochs, batch, set, change or teacher")
        return self


@dataclass(frozen=True, config=STRICT)
class Ladder:
    """An ablation: a row, and its levers, one at a time; ``also`` are rows that differ from it in one thing too."""

    row: Name
    levers: tuple[Lever, ...] = ()
    also: tuple[Name, ...] = ()


@dataclass(frozen=True, config=STRICT)
class RankingPart:
    """How well a supernet ranks: ``tools/rank.py`` on ``n`` archs; ``band`` in FLOPs, ``None`` for the whole space."""

    name: Name
    supernet: Name
    n: Annotated[int, Field(ge=4)] = 12
    band: str | int | None = None
    repeats: Count = 1
    set: Overrides = ()


@dataclass(frozen=True, config=STRICT)
class Plan:
    """Everything that is measured. What stands first is done first; what a step needs is done before it.

    Attributes:
        config: experiment file, relative to the plan's.
        set: overrides for every step.
        recipe, epochs: of rows that do not say theirs.
        target: what latency is measured on, as in ``tools/latency.py``; ``None`` for no latency.
        published: file of other people's rows, relative to the plan's.
        rows: in the order of their importance. All are trained with their first seed, then the ladder, then all with
            their second one, and so on.
    """

    config: str
    set: Overrides = ()
    recipe: Name | None = None
    epochs: Count | None = None
    target: Name | None = None
    published: str | None = None
    supernets: tuple[SupernetPart, ...] = ()
    searches: tuple[SearchPart, ...] = ()
    rows: tuple[Row, ...] = ()
    ladder: Ladder | None = None
    rankings: tuple[RankingPart, ...] = ()

"""``Plan``: the whole experiment as a YAML file; ``row_parts`` defines its rows."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from reid.config import STRICT
from reid.numbers import MOST_TRAINED, Epochs, Seed, Trained, Whole
from tools.jobs.results.plan.row_parts import Ladder, Name, Overrides, Row

Limit = str | int | float | None


@dataclass(frozen=True, config=STRICT)
class SupernetPart:
    """A supernet that is trained; ``set`` are ``a.b=c`` overrides of the plan's config, as everywhere here.

    Attributes:
        teacher: a row of a network given by name, whose first seed it learns from; how, ``set`` must say
            (``supernet.recipe.losses.distillation...``).
    """

    name: Name
    set: Overrides = ()
    seed: Seed = 0
    teacher: Name | None = None


@dataclass(frozen=True, config=STRICT)
class SearchPart:
    """A search of a supernet; what is not given is the config's.

    Attributes:
        beside: further supernets; candidates are scored by the mean of all.
        flops, latency, params: upper limits as for ``tools/search.py``, at least one; they stand in place of all of the
            config's.
        target: what latency is predicted for; where latency is limited, the plan's by default.
        strategy: how candidates are drawn.
        finalists: candidates that are trained before one is chosen.
        learn_from: a ranking whose trainings say what candidates are worth.
    """

    name: Name
    supernet: Name
    beside: tuple[Name, ...] = ()
    flops: Limit = None
    latency: Limit = None
    params: Limit = None
    target: Name | None = None
    strategy: Literal["evolution", "pareto", "random"] = "evolution"
    finalists: Whole | None = None
    learn_from: Name | None = None
    set: Overrides = ()
    seed: Seed = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.flops is None and self.latency is None and self.params is None:
            raise ValueError("no limit is set: give flops, latency or params")
        if self.beside and self.learn_from is not None:
            raise ValueError("learn_from takes one supernet's scores into account; leave beside out")
        return self


@dataclass(frozen=True, config=STRICT)
class RankingPart:
    """A ranking by a supernet: ``tools/rank.py`` on ``n`` archs; ``band`` in FLOPs, ``None`` for the whole space."""

    name: Name
    supernet: Name
    n: Annotated[int, Field(ge=4, le=MOST_TRAINED)] = 12
    band: str | int | None = None
    repeats: Trained = 1
    set: Overrides = ()


@dataclass(frozen=True, config=STRICT)
class Plan:
    """Everything that is measured. What stands first is done first; what a step needs is done before it.

    Attributes:
        config: experiment file, relative to the plan's.
        set: overrides for every step.
        recipe, epochs: of rows that do not say theirs.
        target: what latency is measured on, and predicted for in searches that limit it without a target of their own,
            as in ``tools/latency.py``; ``None`` for no latency.
        published: file of other people's rows, relative to the plan's.
        rows: in the order of their importance. All are trained with their first seed, then the ladder, then all with
            their second one, and so on.
    """

    config: str
    set: Overrides = ()
    recipe: Name | None = None
    epochs: Epochs | None = None
    target: Name | None = None
    published: str | None = None
    supernets: tuple[SupernetPart, ...] = ()
    searches: tuple[SearchPart, ...] = ()
    rows: tuple[Row, ...] = ()
    ladder: Ladder | None = None
    rankings: tuple[RankingPart, ...] = ()

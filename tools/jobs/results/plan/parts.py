"""``Plan``: the whole experiment as a YAML file; ``row_parts`` defines the rows."""

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
    """A supernet to train; ``set`` holds ``a.b=c`` overrides of the plan's config, as in every part.

    Attributes:
        teacher: a row with a network given by name; the supernet learns from its first seed, in the way that ``set``
            states (``supernet.recipe.losses.distillation...``).
    """

    name: Name
    set: Overrides = ()
    seed: Seed = 0
    teacher: Name | None = None


@dataclass(frozen=True, config=STRICT)
class SearchPart:
    """A search of a supernet; settings that are left out come from the config.

    Attributes:
        beside: further supernets; candidates are scored by the mean over all of them.
        flops, latency, params: upper limits as for ``tools/search.py``, at least one; together they replace all of the
            config's limits.
        target: what latency is predicted for; if latency is limited, the default is the plan's target.
        strategy: how candidates are proposed.
        finalists: number of candidates that are trained before one is chosen.
        learn_from: a ranking from whose trainings scores are predicted.
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
            raise ValueError("no limit is set; give flops, latency or params")
        if self.beside and self.learn_from is not None:
            raise ValueError("learn_from takes one supernet's scores into account; leave beside out")
        return self


@dataclass(frozen=True, config=STRICT)
class RankingPart:
    """A ranking by a supernet: ``tools/rank.py`` on ``n`` archs; ``band`` in FLOPs, or ``None`` for the whole space."""

    name: Name
    supernet: Name
    n: Annotated[int, Field(ge=4, le=MOST_TRAINED)] = 12
    band: str | int | None = None
    repeats: Trained = 1
    set: Overrides = ()


@dataclass(frozen=True, config=STRICT)
class Plan:
    """Everything to be measured. Steps run in the order listed, each after the steps that it needs.

    Attributes:
        config: experiment file, relative to the plan's.
        set: overrides for every step.
        recipe, epochs: defaults for rows that do not set their own.
        target: what latency is measured on, as in ``tools/latency.py``; also the default target of searches that limit
            latency. ``None`` for no measurement.
        published: file of other authors' rows, relative to the plan's.
        rows: in order of importance. All are trained with their first seed, then the ladder, then all with their second
            seed, and so on.
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

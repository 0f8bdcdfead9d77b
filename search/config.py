"""Settings of a search; unknown keys and values out of range are refused."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, config={"extra": "forbid"})
class SearchConfig:
    """How a search draws, scores and reports candidates.

    Attributes:
        flops: upper limit on an arch's FLOPs, as ``search.cost.parse_flops`` reads it.
        min_flops_fraction: lower limit as a fraction of the upper one; 0 for none.
        cost_input_size: ``(height, width)`` that FLOPs are counted at; ``None`` for the space's own.
        trials: candidates evaluated in all.
        population: candidates that are alive at a time, and the random ones that the search begins with.
        sample_size: candidates that meet in a tournament for parenthood.
        mutation: chance that a choice is redrawn.
        crossover: chance that a child has two parents.
        calibration_batches, calibration_batch_size: training images that BN is calibrated on for each
            candidate.
        eval_batch_size: images per forward pass while features are extracted.
        top_k: how many of the best archs are written as arch files.
        name_prefix: what the names of those archs begin with.
    """

    flops: str | int | float = "210M"
    min_flops_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.0
    cost_input_size: tuple[Count, Count] | None = None
    trials: Count = 300
    population: Annotated[int, Field(ge=2)] = 40
    sample_size: Count = 10
    mutation: Annotated[float, Field(gt=0, le=1)] = 0.1
    crossover: Annotated[float, Field(ge=0, le=1)] = 0.5
    calibration_batches: Count = 4
    calibration_batch_size: Annotated[int, Field(ge=2)] = 64
    eval_batch_size: Count = 256
    top_k: Annotated[int, Field(ge=1, le=26)] = 2
    name_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = "MLR"

    @model_validator(mode="after")
    def _tournament_fits(self) -> Self:
        if self.sample_size > self.population:
            raise ValueError(f"sample_size {self.sample_size} must not exceed population {self.population}")
        return self

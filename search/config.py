"""Settings of a search; unknown keys and values out of range are refused."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from reid.config import STRICT
from reid.errors import UserError
from reid.numbers import GREATEST, Count, Epochs, Several, Share, Side, Whole
from search.flops_words import parse_flops
from search.limits.limits import Limits, parse_latency, parse_parameters

Measure = str | int | float | None

_TIME = re.compile(r"(?:([0-9.]+)h)?\s*(?:([0-9.]+)(?:m|min))?\s*(?:([0-9.]+)s)?")


@dataclass(frozen=True, config=STRICT)
class FinalistsConfig:
    """Candidates that are trained before one is chosen (``search.finalists``).

    Attributes:
        count: how many; with 0, the supernet's own order decides.
        epochs: length to which the retraining recipe is shortened.
        start: ``inherited``: from the supernet's weights; ``scratch``: from fresh weights, which takes more epochs and
            does not depend on the supernet.
    """

    count: Whole = 0
    epochs: Epochs = 5
    start: Literal["inherited", "scratch"] = "inherited"


@dataclass(frozen=True, config=STRICT)
class SearchConfig:
    """How a search draws, scores and reports candidates.

    Attributes:
        flops: upper limit on an arch's FLOPs, as ``search.flops_words.parse_flops`` reads it; ``None`` for none, where
            there is another limit.
        latency: upper limit on the latency that is predicted for ``target``, as ``search.limits.limits.parse_latency``
            reads it.
        target: target of latency predictions, by its name in ``search.latency``. Without a limit, latency is reported
            only, and is by default the cost that ``pareto`` trades the score for.
        parameters: upper limit on parameters, as ``search.limits.limits.parse_parameters`` reads it.
        min_flops_fraction: lower limit as a fraction of the upper one; 0 for none.
        cost_input_size: ``(height, width)`` that FLOPs are counted at; ``None`` for the space's own.
        trials: candidates evaluated in all; ``None`` where ``time`` is the only budget.
        time: time for evaluations, as ``parse_time`` reads it, after which none is begun; a resumed search gets the
            full time again. Candidates stay the same; their number depends on the machine.
        population: size of the population, and number of random candidates that the search begins with.
        generation: candidates that are proposed together, from earlier generations; at most this many workers are
            busy.
        sample_size: candidates in a tournament that selects a parent; two in ``pareto``.
        mutation: chance that a choice is redrawn.
        crossover: chance that a child has two parents.
        screen: children drawn for each one evaluated, which a predictor of the score picks.
        screen_after: number of scored candidates from which the predictor is used.
        calibration_batches, calibration_batch_size: training images that BN is calibrated on for each
            candidate.
        calibration_images: ``augmented`` as the supernet's training showed them, or ``plain`` as in evaluation.
        eval_batch_size: images per forward pass while features are extracted.
        precision: of the forward passes of calibration and features: ``fp32``, ``bf16``, ``fp16``; ``auto`` is fp16 on
            CUDA and fp32 on a CPU, where half precision moves scores and gains little.
        learn_from: ``ranking.json`` files of ``tools/rank.py``, or their folders: candidates are then scored by a
            model fitted to the archs trained there, and no longer by the supernet alone.
        front: costs that ``pareto`` trades the score for, one to three of ``flops``, ``latency`` (on ``target``) and
            ``parameters``; ``None`` for latency where there is a target, else FLOPs.
        finalists: candidates that are trained before one is chosen; not for ``pareto``.
        top_k: how many archs are written as arch files: the best ones, or with ``pareto`` the front's knees.
        name_prefix: prefix of the names of those archs.
    """

    flops: Measure = "210M"
    latency: Measure = None
    target: str | None = None
    parameters: Measure = None
    min_flops_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.0
    cost_input_size: tuple[Side, Side] | None = None
    trials: Count | None = 300
    time: Measure = None
    population: Several = 40
    generation: Count = 8
    sample_size: Count = 10
    mutation: Annotated[float, Field(gt=0, le=1)] = 0.1
    crossover: Share = 0.5
    screen: Count = 1
    screen_after: Annotated[int, Field(ge=16, le=GREATEST)] = 64
    calibration_batches: Count = 4
    calibration_batch_size: Several = 64
    calibration_images: Literal["augmented", "plain"] = "augmented"
    eval_batch_size: Count = 256
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    learn_from: tuple[str, ...] = ()
    front: Annotated[tuple[Literal["flops", "latency", "parameters"], ...], Field(min_length=1)] | None = None
    finalists: FinalistsConfig = FinalistsConfig()
    top_k: Annotated[int, Field(ge=1, le=26)] = 2
    name_prefix: Annotated[str, Field(max_length=60, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = "MLR"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.sample_size > self.population:
            raise ValueError(f"sample_size {self.sample_size} must not exceed population {self.population}")
        if self.flops is None and self.latency is None and self.parameters is None:
            raise ValueError("no limit is set; give flops, latency or parameters")
        if self.latency is not None and self.target is None:
            raise ValueError(
                f"latency {self.latency} needs a target to be measured on; set target, for example onnx-cpu-1t"
            )
        if self.front is not None and len(set(self.front)) < len(self.front):
            raise ValueError(f"front {','.join(self.front)}: a cost is named twice; name each once")
        if "latency" in (self.front or ()) and self.target is None:
            raise ValueError(
                f"front {','.join(self.front)}: latency needs a target to be measured on; set target, for example "
                "onnx-cpu-1t"
            )
        if 0 < self.finalists.count < self.top_k:
            raise ValueError(f"finalists.count {self.finalists.count} must be at least top_k {self.top_k}, or 0")
        if self.trials is None and self.time is None:
            raise ValueError("no budget is set; give trials or time")
        try:  # here, since the supernet's training ignores them, and errors would be found only after it
            limits_of(self)
            if self.time is not None:
                parse_time(self.time)
        except UserError as error:
            raise ValueError(str(error)) from None
        return self


def limits_of(config: SearchConfig) -> Limits:
    """The limits that the config sets; raises UserError if one cannot be parsed."""
    return Limits(
        None if config.flops is None else parse_flops(config.flops),
        None if config.latency is None else parse_latency(config.latency),
        None if config.parameters is None else parse_parameters(config.parameters),
    )


def parse_time(text: str | int | float) -> float:
    """Seconds: ``90``, ``"90s"``, ``"1.5m"`` and ``"1m30s"`` are the same; ``h`` for hours.

    Raises:
        UserError: it is no positive time.
    """
    written = str(text).strip().lower()
    try:
        match = _TIME.fullmatch(written)
        hours, minutes, seconds = (float(part or 0) for part in match.groups()) if match else (0, 0, float(written))
        value = 3600 * hours + 60 * minutes + seconds
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UserError(f"time '{text}': give a positive time such as 30m, 2h, 1h30m or 90s")
    return value

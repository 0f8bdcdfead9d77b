"""Early stopping and the best epoch, as functions of a run's records: a resumed run needs no state for them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic.dataclasses import dataclass

from reid.config import STRICT
from reid.errors import UserError, nearest
from reid.numbers import Count, NonNegative

Record = Mapping[str, float | None]
"""Record of one epoch: ``epoch`` (from 1) and, if measured, metrics by name. A metric that was not finite is ``None``
once it has been read back from ``metrics.jsonl``, since JSON cannot express it."""

Mode = Literal["max", "min"]
"""Whether greater or smaller values of a metric are better."""


def check_mode(metric: str, mode: Mode) -> None:
    """Raises ValueError if a metric whose name says that it is a loss is to be maximised."""
    if mode == "max" and "loss" in metric.split("_"):
        raise ValueError(f"metric {metric} is a loss, for which lower is better; also set mode: min")


@dataclass(frozen=True, config=STRICT)
class EarlyStopping:
    """When a training ends before its last epoch.

    Attributes:
        patience: epochs that may pass without a gain. The metric is only known in evaluated epochs, so a patience
            shorter than the interval between evaluations takes effect at the first evaluation without a gain.
        metric: a name in the records, such as ``holdout_mAP`` or ``loss``.
        mode: whether greater or smaller values are better; for a loss it is ``min``.
        minimum_gain: only a value that exceeds the best so far by more than this counts.
    """

    patience: Count = 10
    metric: str = "holdout_mAP"
    mode: Mode = "max"
    minimum_gain: NonNegative = 0.0

    def __post_init__(self) -> None:
        """Raises ValueError if a loss is to be maximised, which would end the training as soon as it learns."""
        check_mode(self.metric, self.mode)


def best_epoch(records: Sequence[Record], metric: str, mode: Mode = "max", minimum_gain: float = 0.0) -> int | None:
    """The epoch with the best value of ``metric``, the earliest of equals; ``None`` if no value is finite.

    With a ``minimum_gain``, it is the last epoch that exceeded the best before it by more than that.
    """
    best, epoch = None, None
    for record in records:
        value = record.get(metric)
        value = math.nan if value is None else value * (1 if mode == "max" else -1)
        if math.isfinite(value) and (best is None or value > best + minimum_gain):
            best, epoch = value, int(record["epoch"])
    return epoch


def check_metric(record: Record, stopping: EarlyStopping) -> None:
    """Raises UserError for a training that could never stop early.

    Args:
        record: record of an epoch in which every metric is measured.

    Raises:
        UserError: the record does not have the metric.
    """
    if stopping.metric not in record:
        raise UserError(
            f"early_stopping.metric '{stopping.metric}' is never measured{nearest(stopping.metric, record)}; "
            "name another field of metrics.jsonl, or set evaluate_every above 0"
        )


def should_stop(records: Sequence[Record], stopping: EarlyStopping) -> bool:
    """Whether ``patience`` epochs have passed since the last gain, as of the last record with the metric.

    Args:
        records: all epochs so far, in order.
    """
    evaluated = [record for record in records if stopping.metric in record]
    if not evaluated:
        return False
    best = best_epoch(evaluated, stopping.metric, stopping.mode, stopping.minimum_gain)
    # A metric that was never finite counts as having last improved before the first epoch.
    return int(evaluated[-1]["epoch"]) - (best or 0) >= stopping.patience

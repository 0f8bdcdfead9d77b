"""Panels of training curves: which fields of the records are drawn together, and how they are labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

Curve = tuple[list[float], list[float]]
"""Epochs and values."""

COUNTS = ("epoch", "step", "queries", "skipped_queries")
"""Fields that are positions or counts, and are not drawn."""

SCORES = ("mAP", "mAP_trapezoid", "rank1", "rank5", "rank10", "rank20", "mINP")

ARCHS = ("largest", "smallest", "random")
"""Prefixes of a supernet's fields that belong to one of its archs."""


@dataclass(frozen=True)
class Panel:
    """Axes of a picture of curves.

    Attributes:
        title: text above the axes.
        unit: label of the y axis.
        fields: the fields drawn here, in the order of their colours.
        percent: values are fractions, drawn in percent.
        scale: ``linear``; ``log``; or ``auto``, logarithmic where curves are far apart.
        bounds: ends of the y axis; None where the values decide.
    """

    title: str
    unit: str
    fields: tuple[str, ...] = ()
    percent: bool = False
    scale: str = "linear"
    bounds: tuple[float | None, float | None] = (None, None)


LOSSES = Panel(
    "Losses",
    "loss",
    (
        "loss",
        "loss_ce",
        "loss_triplet",
        "loss_circle",
        "loss_center",
        "loss_centroid",
        "loss_distillation",
    ),
    scale="auto",
    bounds=(0, None),
)
RETRIEVAL = Panel("Retrieval", "%", ("mAP", "rank1"), percent=True)
BATCHES = Panel("Training batches", "%", ("accuracy", "active_triplets"), percent=True, bounds=(0, 104))
PAIRS = Panel("Hardest pairs", "distance of features", ("distance_positive", "distance_negative"), bounds=(0, None))
PANELS = (
    LOSSES,
    RETRIEVAL,
    BATCHES,
    PAIRS,
    Panel("Distance gap", "hardest negative - positive", ("distance_gap",)),
    Panel("Embedding", "fraction", ("embedding_spread", "identity_variance"), scale="auto", bounds=(0, None)),
    Panel("Norms", "L2 norm", ("gradient_norm", "feature_norm"), scale="log"),
    Panel("Learning rate", "rate", ("lr",), scale="log"),
    Panel("Speed", "images/s", ("images_per_second",), bounds=(0, None)),
    Panel("Peak memory so far", "MiB (CPU: whole process)", ("peak_memory_mib",), bounds=(0, None)),
)
"""Panels in the picture's order; each field that is in none of them gets its own panel after these."""

WORDS = {
    "loss": "total",
    "loss_ce": "classification",
    "accuracy": "accuracy",
    "active_triplets": "active triplets",
    "distance_positive": "farthest positive",
    "distance_negative": "nearest negative",
    "embedding_spread": "spread",
    "identity_variance": "variance between identities",
    "gradient_norm": "gradient",
    "feature_norm": "feature",
    "rank1": "Rank-1",
    "rank5": "Rank-5",
    "rank10": "Rank-10",
    "rank20": "Rank-20",
}


def panels_of(records: Sequence[Mapping[str, Any]]) -> dict[Panel, dict[str, Curve]]:
    """The panels that ``records`` have values for, each with its curves in the order of their colours.

    Values that are not finite numbers, and records without an epoch, are left out. The gap between the hardest pairs
    has a panel only if the distances themselves are not recorded.
    """
    curves = _curves(records)
    if "distance_positive" in curves and "distance_negative" in curves:
        curves.pop("distance_gap", None)
    found: dict[Panel, dict[str, Curve]] = {}
    for name in sorted(curves, key=_rank):
        panel = panel_of(name)
        epochs, values = curves[name]
        found.setdefault(panel, {})[name] = (epochs, [100 * value for value in values] if panel.percent else values)
    return dict(sorted(found.items(), key=lambda item: PANELS.index(item[0]) if item[0] in PANELS else len(PANELS)))


def panel_of(name: str) -> Panel:
    """The panel in which the field ``name`` is drawn."""
    arch, base = split_arch(name)
    if base.split("_")[-1] in SCORES or base in SCORES:
        return RETRIEVAL
    if "loss" in base.split("_"):
        return LOSSES
    return next((panel for panel in PANELS if base in panel.fields), Panel(name.replace("_", " "), ""))


def split_arch(name: str) -> tuple[str, str]:
    """``("smallest", "loss")`` for ``smallest_loss``; the first is empty if the field belongs to no arch."""
    first, _, rest = name.partition("_")
    return (first, rest) if first in ARCHS and rest else ("", name)


def base_of(name: str) -> str:
    """The field's name without its arch or held-out set; determines the curve's colour."""
    base = split_arch(name)[1]
    score = base.split("_")[-1]
    return score if score in SCORES else base


def words_of(base: str) -> str:
    """A field's name in a legend, given ``base_of`` the field."""
    return WORDS.get(base, base.removeprefix("loss_").replace("_", " "))


def _rank(name: str) -> tuple[int, str, str]:
    base, fields = base_of(name), panel_of(name).fields
    return fields.index(base) if base in fields else len(fields), base, name


def _curves(records: Sequence[Mapping[str, Any]]) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    for record in records:
        for name, value in record.items():
            if name in COUNTS or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if "epoch" in record and isfinite(value):
                epochs, values = curves.setdefault(name, ([], []))
                epochs.append(record["epoch"])
                values.append(value)
    return curves

"""Softmax classifiers over cosines, with a margin between the identities.

Both functions turn the cosines of embeddings and class weights into logits for the cross-entropy (with or without
label smoothing) and are for training only: the margin needs the label. Without labels the logits are ``scale`` times
the cosines.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from reid.losses.config import ClassificationConfig
from reid.precision import full_precision


@full_precision
def am_softmax_logits(cosines: torch.Tensor, labels: torch.Tensor, scale: float, margin: float) -> torch.Tensor:
    """``scale * (cos - margin)`` for the label and ``scale * cos`` for the others (Wang et al. 2018, "Additive margin
    softmax", with s = 30, m = 0.35; the same as CosFace).

    Args:
        cosines: ``(N, C)`` float in ``-1..1``.
        labels: ``(N,) int64``.

    Returns:
        ``(N, C)`` logits.
    """
    return scale * (cosines - margin * _one_hot(cosines, labels))


@full_precision
def circle_softmax_logits(cosines: torch.Tensor, labels: torch.Tensor, scale: float, margin: float) -> torch.Tensor:
    """Circle loss with class labels (Sun et al. 2020, eq. 6 with one positive, the weight of the class).

    ``scale * [1 + m - cos]+ * (cos - (1 - m))`` for the label and ``scale * [cos + m]+ * (cos - m)`` for the others.
    The factors in ``[]+`` are weights and carry no gradient, as in the paper and in fast-reid's ``CircleSoftmax``
    (there s = 64, m = 0.35; the paper has s = 128, m = 0.25 for ReID).

    Args and returns: as ``am_softmax_logits``.
    """
    fixed = cosines.detach()
    positive = F.relu(1.0 + margin - fixed) * (cosines - (1.0 - margin))
    negative = F.relu(fixed + margin) * (cosines - margin)
    return scale * torch.where(_one_hot(cosines, labels).bool(), positive, negative)


def least_loss(config: ClassificationConfig, classes: int) -> float:
    """The lowest cross-entropy over ``classes`` that features can reach, without smoothing: aligned with the weight of
    their class and orthogonal to all others. 0 for ``linear``, whose logits have no bound.

    Where it is not near 0, the loss cannot tell good features from better ones: the circle's logits shrink with the
    square of the margin, so that at am_softmax's usual scale 0.39 remains for 751 classes.
    """
    if config.kind == "linear":
        return 0.0
    m = config.margin
    apart = config.scale * (1.0 - m if config.kind == "am_softmax" else 2.0 * m * m)
    return math.log1p((classes - 1) * math.exp(-apart))


def margin_at(config: ClassificationConfig, epoch: float) -> float:
    """The margin at an epoch (0 is the start; fractions are steps within one): it rises linearly from ``margin_start``
    to ``margin`` during the first ``margin_warmup`` epochs."""
    if epoch >= config.margin_warmup:
        return config.margin
    return config.margin_start + (config.margin - config.margin_start) * epoch / config.margin_warmup


def _one_hot(cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(cosines).scatter_(1, labels[:, None], 1.0)

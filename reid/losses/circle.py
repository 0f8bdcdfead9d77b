"""Circle loss over the pairs of a batch (Sun et al. 2020, "Circle loss: a unified perspective")."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from reid.losses.pairs import masked_mean, pair_masks
from reid.precision import full_precision


@full_precision
def circle_loss(features: torch.Tensor, labels: torch.Tensor, margin: float, scale: float) -> torch.Tensor:
    """Mean over the anchors of ``log(1 + sum_n exp(l_n) * sum_p exp(l_p))`` (eq. 6) over the anchor's negatives and
    positives, ``s`` being cosines:

        ``l_p = -scale * [1 + margin - s]+ * (s - (1 - margin))``, ``l_n = scale * [s + margin]+ * (s - margin)``

    The factors in ``[]+`` carry no gradient. Anchors without a positive or a negative are left out; with none left
    the loss is zero. The same as pytorch-metric-learning's ``CircleLoss``, whose default reducer also leaves out the
    anchors with a loss of zero. fast-reid's ``pairwise_circleloss`` is the same; its older class ``CircleLoss`` is
    not: it sets the cosines of masked pairs to zero and then sums them too.

    Args:
        features: ``(N, D)`` float; normalised here.
        labels: ``(N,) int64``.
        margin, scale: 0.25 and 128 in the paper's ReID experiments.
    """
    features = F.normalize(features, dim=1)
    cosines = features @ features.T
    fixed = cosines.detach()
    positives, negatives = pair_masks(labels)
    positive = -scale * F.relu(1.0 + margin - fixed) * (cosines - (1.0 - margin))
    negative = scale * F.relu(fixed + margin) * (cosines - margin)
    each = F.softplus(_log_sum_exp(positive, positives) + _log_sum_exp(negative, negatives))
    return masked_mean(each, positives.any(1) & negatives.any(1))


def _log_sum_exp(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return logits.masked_fill(~mask, float("-inf")).logsumexp(1)

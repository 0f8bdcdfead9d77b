"""Identity classification with label smoothing."""

from __future__ import annotations

from typing import Literal

import torch
from torch.nn import functional as F

from reid.errors import UserError
from reid.precision import full_precision


@full_precision
def smoothed_cross_entropy(
    logits: torch.Tensor,
    labels: torch.Tensor,
    smoothing: float,
    over: Literal["all", "others"] = "all",
    reduction: Literal["mean", "none"] = "mean",
) -> torch.Tensor:
    """Cross-entropy against a target that keeps part of its mass from the label. Two definitions are in use:

    - ``all``: ``1 - s + s/C`` for the label and ``s/C`` for each other class, as in Szegedy et al. 2016, the bag of
      tricks (Luo et al. 2019), torchreid and torch.
    - ``others``: ``1 - s`` for the label and ``s/(C - 1)`` for each other class, as in fast-reid.

    The second with ``s`` is the first with ``s C / (C - 1)``, so with many identities they are close.

    Args:
        logits: ``(N, C)`` float.
        labels: ``(N,) int64`` in ``0..C-1``.
        smoothing: ``s`` in ``[0, 1)``; 0 is plain cross-entropy.
        reduction: ``mean`` over the batch, or ``none`` for ``(N,)``.

    Raises:
        UserError: ``over`` is ``others`` and the other classes would outweigh the label (``s > 1 - 1/C``).
    """
    if over == "others" and smoothing:
        classes = logits.shape[1]
        if smoothing * classes > classes - 1:
            raise UserError(
                f"smoothing {smoothing:g} over the {classes - 1} other classes outweighs the label; "
                f"use at most {1 - 1 / classes:g}, or smoothing_over: all"
            )
        smoothing = smoothing * classes / (classes - 1)  # at most 1, by the line above, rounded or not
    return F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction=reduction)

"""Which of a head's classification losses count in a training step, and which vectors predict the identity."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from reid.models.heads.config import Update
from reid.transfer import to_device


@dataclass(frozen=True)
class BranchRule:
    """How the classification losses of a head's vectors are combined, and which vectors its accuracy is measured on.

    Attributes:
        update, drop: which branches count in a step; see ``select_parts``.
        extras: weights of the losses of the last vectors, which are not branches but additions to them (spectral
            feature transformation).
        whole: whether the first vector is of the whole map, so that its classifier alone predicts the identity; if not
            (stripes alone), no branch sees the whole person, and all predict together.
    """

    update: Update = "all"
    drop: int = 1
    extras: tuple[float, ...] = ()
    whole: bool = True


ALL_BRANCHES = BranchRule()


def select_parts(
    losses: torch.Tensor, update: Update, drop: int = 1, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Weights 0 or 1 for the losses of a head's classified vectors, without waiting for the device.

    - ``all``: every one counts, as in PCB (Sun et al. 2018).
    - ``random``: ``drop`` of them, drawn uniformly, are left out of this step (pytorch-reid-lite's random drop of
      branches, without replacement).
    - ``max_loss``: only the greatest counts; of equal ones the first.

    Args:
        losses: ``(S,)``; only their values are used.
        update: see above.
        drop: for ``random``, below S.
        generator: a CPU generator, needed for ``random`` alone; the same state gives the same choice.

    Returns:
        ``(S,)`` of the losses' type on their device, without gradient.

    Raises:
        ValueError: ``random`` without a generator, or ``drop`` not in 1 .. S - 1.
    """
    weights = torch.ones_like(losses, requires_grad=False)
    if update == "random":
        if generator is None or not 0 < drop < len(losses):
            raise ValueError(f"random update of {len(losses)} parts: needs a generator and 1 <= drop < {len(losses)}")
        left_out = torch.randperm(len(losses), generator=generator)[:drop]
        weights.index_fill_(0, to_device(left_out, losses.device), 0.0)
    elif update == "max_loss":
        weights = torch.zeros_like(weights).scatter_(0, losses.detach().argmax(0, keepdim=True), 1.0)
    return weights

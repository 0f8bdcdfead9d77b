"""What a student is told by a teacher, beside the labels."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def logit_distillation(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean Kullback-Leibler divergence of the student's class probabilities from the teacher's (Hinton et al. 2015, T
    = 1).

    Args:
        student, teacher: ``(N, C)`` logits; no gradient flows into the teacher.
    """
    target = F.log_softmax(teacher.detach().float(), dim=1)
    return F.kl_div(F.log_softmax(student.float(), dim=1), target, reduction="batchmean", log_target=True)


def similarity_distillation(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the batch's cosine similarity matrices (after Tung and Mori 2019).

    Vectors of different length can be compared this way, and it says of unseen identities what logits cannot: who
    looks like whom.

    Args:
        student: ``(N, D1)``; teacher: ``(N, D2)``; no gradient flows into the teacher.
    """
    a, b = F.normalize(student.float(), dim=1), F.normalize(teacher.detach().float(), dim=1)
    return F.mse_loss(a @ a.T, b @ b.T)

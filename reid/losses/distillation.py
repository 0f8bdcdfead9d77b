"""Distillation losses: a student learns from a teacher besides the labels. No gradient flows into the teacher."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from reid.errors import UserError
from reid.precision import full_precision


@full_precision
def logit_distillation(student: torch.Tensor, teacher: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """Mean over the batch of the Kullback-Leibler divergence of the student's class probabilities from the teacher's,
    both of logits over ``T``, times ``T^2`` so that the gradient's size does not depend on ``T`` (Hinton et al. 2015).

    Args:
        student, teacher: ``(N, C)`` logits of the same classes.
        temperature: ``T``, above 0.
    """
    own = F.log_softmax(student / temperature, dim=1)
    target = F.log_softmax(teacher.detach() / temperature, dim=1)
    return temperature**2 * F.kl_div(own, target, reduction="batchmean", log_target=True)


@full_precision
def embedding_distillation(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean over the batch of one minus the cosine of the student's and the teacher's vector of the same image (half
    the squared distance of the normalised vectors).

    Args:
        student, teacher: ``(N, D)``.

    Raises:
        UserError: the vectors differ in length.
    """
    if student.shape[1] != teacher.shape[1]:
        raise UserError(
            f"embeddings of {student.shape[1]} and of {teacher.shape[1]} dimensions cannot be distilled one by one; "
            "give the student the teacher's embedding length, or use distillation.similarity"
        )
    return (1.0 - F.cosine_similarity(student, teacher.detach(), dim=1)).mean()


@full_precision
def similarity_distillation(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the batch's cosine similarity matrices (after Tung and Mori 2019).

    It can compare vectors of different lengths, and conveys what logits cannot for unseen identities: who looks like
    whom.

    Args:
        student: ``(N, D1)``; teacher: ``(N, D2)``.
    """
    a, b = F.normalize(student, dim=1), F.normalize(teacher.detach(), dim=1)
    return F.mse_loss(a @ a.T, b @ b.T)

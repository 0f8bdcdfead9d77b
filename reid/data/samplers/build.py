"""Samplers by name."""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import torch

from reid.data.records import NO_CAMERA
from reid.data.samplers.balanced import BalancedSampler
from reid.data.samplers.camera_aware import CameraAwareSampler
from reid.data.samplers.pk import PKSampler
from reid.data.samplers.random import RandomSampler
from reid.errors import UserError, nearest

SamplerKind = Literal["pk", "camera_aware", "balanced", "random"]
SAMPLERS: tuple[SamplerKind, ...] = get_args(SamplerKind)


class Sampler(Protocol):
    """Interface of samplers: an epoch's batches are a pure function of the arguments and the epoch's number."""

    batches_per_epoch: int

    def epoch(self, e: int) -> list[torch.Tensor]:
        """``batches_per_epoch`` tensors ``(p * k / world_size,) int64`` of image indices.

        The ranks' tensors, concatenated, are the batch of a single process.
        """
        ...


def build_sampler(
    kind: SamplerKind,
    labels: torch.Tensor,
    p: int,
    k: int,
    seed: int,
    *,
    camids: torch.Tensor | None = None,
    sources: torch.Tensor | None = None,
    rank: int = 0,
    world_size: int = 1,
) -> Sampler:
    """The sampler called ``kind``, with batches of ``p * k`` images over all ranks.

    Args:
        kind: ``pk``: P identities with K images each; ``camera_aware``: the K images from as many cameras as
            possible; ``balanced``: equally many identities from each source; ``random``: ``p * k`` images of
            any identities.
        labels: ``(N,) int64`` identities.
        camids: ``(N,) int64`` cameras; for ``camera_aware``.
        sources: ``(N,) int64`` data sets; for ``balanced``.
        seed, rank, world_size: see ``PKSampler``.

    Raises:
        UserError: the name is unknown, an argument that it needs is missing, or as the sampler itself says.
    """
    if kind == "pk":
        return PKSampler(labels, p, k, seed, rank, world_size)
    if kind == "camera_aware":
        if camids is None or bool((camids == NO_CAMERA).all()):
            raise UserError("sampler 'camera_aware' needs the camera of each image; this data set gives none; use 'pk'")
        return CameraAwareSampler(labels, camids, p, k, seed, rank, world_size)
    if kind == "balanced":
        if sources is None:
            raise UserError("sampler 'balanced' needs several data sets; with only one, use 'pk'")
        return BalancedSampler(labels, sources, p, k, seed, rank, world_size)
    if kind == "random":
        return RandomSampler(len(labels), p * k, seed, rank, world_size)
    raise UserError(f"sampler '{kind}' is unknown{nearest(kind, SAMPLERS) or '; known: ' + ', '.join(SAMPLERS)}")

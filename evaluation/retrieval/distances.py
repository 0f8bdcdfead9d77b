"""Distances between features, a block of queries at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from reid.errors import UserError, nearest

METRICS = ("cosine", "euclidean")


def pairwise_distances(query: torch.Tensor, gallery: torch.Tensor, metric: str = "cosine") -> torch.Tensor:
    """``(Q, G) float32`` distances between ``(Q, D)`` and ``(G, D)`` features, on their device.

    ``"cosine"`` is ``1 - cos`` in 0..2, and 1 for a feature of zeros; ``"euclidean"`` the length of the difference.
    The latter is computed in float64 (``|q|^2 + |g|^2 - 2 q.g`` cancels between near features: float32 gives
    0.01 where duplicates of 256 normal numbers should have 0), so that thresholds may be set on it.

    Raises:
        UserError: shapes or devices do not fit, a feature is NaN or infinite, or the metric is unknown.
    """
    blocks = list(distance_blocks(query, gallery, metric, block=max(len(query), 1)))
    return blocks[0] if blocks else torch.empty(0, len(gallery), device=gallery.device)


def distance_blocks(
    query: torch.Tensor, gallery: torch.Tensor, metric: str = "cosine", block: int = 512
) -> Iterator[torch.Tensor]:
    """``pairwise_distances`` for ``block`` queries after another: ``(<=block, G)`` each, in the queries' order.

    Raises:
        UserError: as ``pairwise_distances``, at the call.
    """
    check_features(query, gallery, metric, block)
    return _cosine_blocks(query, gallery, block) if metric == "cosine" else _euclidean_blocks(query, gallery, block)


def ranking_blocks(
    query: torch.Tensor, gallery: torch.Tensor, metric: str = "cosine", block: int = 512
) -> Iterator[torch.Tensor]:
    """Blocks of numbers that order each query's gallery as its distances do, and are cheaper.

    They are ``-cos`` (which nothing is rounded away from, as it is from ``1 - cos``) and ``|g|^2 - 2 q.g``
    (``|q|^2`` is the same in a row), in float32. Only their order within a row has a meaning.

    Raises:
        UserError: as ``pairwise_distances``, at the call.
    """
    check_features(query, gallery, metric, block)
    return _ranking_blocks(query, gallery, metric, block)


def check_features(query: torch.Tensor, gallery: torch.Tensor, metric: str = "cosine", block: int = 1) -> None:
    """Raises the ``UserError`` that names what is wrong with features, metric or block, if anything is."""
    if metric not in METRICS:
        raise UserError(f"metric '{metric}' is unknown; known: {', '.join(METRICS)}{nearest(str(metric), METRICS)}")
    if block < 1:
        raise UserError(f"block must be 1 query or more, got {block}")
    if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
        raise UserError(f"features must be (Q, D) and (G, D), got {tuple(query.shape)} and {tuple(gallery.shape)}")
    if query.device != gallery.device:
        raise UserError(f"query features lie on {query.device}, gallery features on {gallery.device}; use one device")
    for name, features in (("query", query), ("gallery", gallery)):
        if not torch.isfinite(features).all():
            raise UserError(f"{name} features hold NaN or infinite values; the network that made them diverged")


def _cosine_blocks(query: torch.Tensor, gallery: torch.Tensor, block: int) -> Iterator[torch.Tensor]:
    for cosines in _ranking_blocks(query, gallery, "cosine", block):
        yield cosines.add_(1).clamp_(0, 2)


def _euclidean_blocks(query: torch.Tensor, gallery: torch.Tensor, block: int) -> Iterator[torch.Tensor]:
    gallery = gallery.detach().double()
    offset = gallery.square().sum(dim=1)
    for rows in query.detach().split(block):
        rows = rows.double()
        squares = torch.addmm(offset, rows, gallery.T, alpha=-2).add_(rows.square().sum(dim=1, keepdim=True))
        yield squares.clamp_(min=0).sqrt_().float()


def _ranking_blocks(query: torch.Tensor, gallery: torch.Tensor, metric: str, block: int) -> Iterator[torch.Tensor]:
    query, gallery = query.detach().float(), gallery.detach().float()
    if metric == "cosine":
        query, gallery = (torch.nn.functional.normalize(features, dim=1) for features in (query, gallery))
        for rows in query.split(block):
            yield (rows @ gallery.T).neg_()
    else:
        offset = gallery.square().sum(dim=1)
        for rows in query.split(block):
            yield torch.addmm(offset, rows, gallery.T, alpha=-2)

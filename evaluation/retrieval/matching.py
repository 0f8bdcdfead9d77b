"""Which gallery images are right and which are passed over for each query, from labels and a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from evaluation.retrieval.rules import MARKET1501, MatchRule
from reid.errors import UserError

Labels = np.ndarray | torch.Tensor | Sequence[int]
ImageIds = np.ndarray | torch.Tensor | Sequence[int] | Sequence[str]


@dataclass(frozen=True, eq=False)
class Matching:
    """Queries against a gallery.

    Attributes:
        queries: number of queries.
        gallery: number of gallery images, junk included.
        columns: ``(K,) int64`` gallery positions that are ranked, ascending; the others are junk for every query.
        by_pid: ``(K,) int64`` positions among ``columns`` in the order of their identities.
        first, last: ``(Q,) int64``; ``by_pid[first:last]`` has the query's identity, in the gallery's order.
        junk_keys: pairs of ``(Q,)`` and ``(K,)`` codes; where one of the pairs agrees, an image of the query's
            identity is passed over.
    """

    queries: int
    gallery: int
    columns: np.ndarray
    by_pid: np.ndarray
    first: np.ndarray
    last: np.ndarray
    junk_keys: tuple[tuple[np.ndarray, np.ndarray], ...]

    def same_identity(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every pair of a query in ``start:stop`` and a ranked image of its identity.

        Returns:
            ``(P,)`` each: the query (counted from ``start``; ascending), the position among ``columns``, and whether
            the image is passed over.
        """
        first = self.first[start:stop]
        counts = self.last[start:stop] - first
        rows = np.repeat(np.arange(len(counts)), counts)
        steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        places = self.by_pid[np.repeat(first, counts) + steps]
        junk = np.zeros(len(rows), dtype=bool)
        for query, gallery in self.junk_keys:
            junk |= query[start:stop][rows] == gallery[places]
        return rows, places, junk

    def nothing_right(self) -> UserError:
        """The error for queries of which none has a right answer."""
        if (self.first == self.last).all():
            cause = "no query's identity occurs in it; check that both sides number identities alike"
        else:
            cause = (
                "all images of their identities are from the queries' own cameras; if the cameras are unknown, leave "
                "them out (in a feature file the camids; from Python, use the rule NO_CAMERAS)"
            )
        return UserError(f"no query has a right answer in the gallery: {cause}")


def match(
    query_pids: Labels,
    query_camids: Labels | None,
    gallery_pids: Labels,
    gallery_camids: Labels | None,
    rule: MatchRule = MARKET1501,
    query_ids: ImageIds | None = None,
    gallery_ids: ImageIds | None = None,
) -> Matching:
    """Matches ``(Q,)`` query labels with ``(G,)`` gallery labels.

    Args:
        query_pids, gallery_pids: identities, whole numbers.
        query_camids, gallery_camids: cameras, whole numbers; may be None, and are not looked at, where
            ``rule.same_camera_is_junk`` is false.
        rule: what is junk.
        query_ids, gallery_ids: identify the images, as numbers or strings (paths). If a query's own image is in the
            gallery too, it is passed over. Give the same ids on both sides to look each image up among all others
            (leave-one-out).

    Raises:
        UserError: labels of wrong shape, number or kind, an empty side, cameras missing that the rule asks for,
            image ids on one side only, or an image with two identities.
    """
    pids = _sides("pids", query_pids, gallery_pids)
    for side, values in zip(("query", "gallery"), pids, strict=True):
        if not len(values):
            raise UserError(f"the {side} is empty: there is nothing to score")
    keys = []
    if rule.same_camera_is_junk:
        if query_camids is None or gallery_camids is None:
            raise UserError("cameras are missing: give the camids of both sides, or use the rule NO_CAMERAS")
        cameras = _sides("camids", query_camids, gallery_camids, pids)
        known = ~np.isin(cameras[0], rule.unknown_camids)
        if known.any():
            keys.append((np.where(known, cameras[0], cameras[1].min() - 1), cameras[1]))
    if (query_ids is None) != (gallery_ids is None):
        raise UserError("image ids are given for one side only; give both query_ids and gallery_ids")
    if query_ids is not None:
        keys.append(_image_codes(_array(query_ids), _array(gallery_ids), pids))

    columns = np.flatnonzero(~np.isin(pids[1], rule.junk_pids))
    kept = pids[1][columns]
    by_pid = np.argsort(kept, kind="stable")
    first, last = (np.searchsorted(kept, pids[0], side=side, sorter=by_pid) for side in ("left", "right"))
    last = np.where(np.isin(pids[0], rule.distractor_pids), first, last)
    keys = tuple((query, gallery[columns]) for query, gallery in keys)
    return Matching(len(pids[0]), len(pids[1]), columns, by_pid, first, last, keys)


def _sides(
    name: str, query: Labels, gallery: Labels, pids: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    arrays = _array(query), _array(gallery)
    for side, values in zip(("query", "gallery"), arrays, strict=True):
        if values.ndim != 1:
            raise UserError(f"{side} {name} must be one number per image, got shape {values.shape}")
        if len(values) and values.dtype.kind not in "iu":
            raise UserError(f"{side} {name} must be whole numbers, got {values.dtype}")
    arrays = tuple(values.astype(np.int64) for values in arrays)
    if pids is not None:
        for side, of, values in zip(("query", "gallery"), pids, arrays, strict=True):
            if len(of) != len(values):
                raise UserError(f"{side} has {len(of)} pids but {len(values)} {name}")
    return arrays


def _image_codes(
    query: np.ndarray, gallery: np.ndarray, pids: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    for side, of, values in zip(("query", "gallery"), pids, (query, gallery), strict=True):
        if values.shape != of.shape:
            raise UserError(f"{side} has {len(of)} pids but image ids of shape {values.shape}")
    if (query.dtype.kind in "iu") != (gallery.dtype.kind in "iu"):
        raise UserError(
            f"image ids must be of the same kind, got {query.dtype} for the query and {gallery.dtype} for the gallery"
        )
    both, every = np.concatenate([query, gallery]), np.concatenate(pids)
    _, first, codes = np.unique(both, return_index=True, return_inverse=True)
    wrong = np.flatnonzero(every[first][codes] != every)
    if len(wrong):
        image = wrong[0]
        raise UserError(
            f"image {both[image]} has two identities, {every[first][codes][image]} and {every[image]}; "
            "give each image an id of its own"
        )
    return codes[: len(query)], codes[len(query) :]


def _array(values: Labels | ImageIds) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)

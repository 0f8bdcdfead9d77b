"""Embeddings of a few persons, or any labelled vectors, in a plane by t-SNE (van der Maaten & Hinton 2008)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch

from evaluation.features.scikit_learn import need_sklearn
from evaluation.features.vector_files import LabelledVectors
from evaluation.retrieval.distances import check_features
from evaluation.retrieval.labeled_features import RetrievalFeatures
from reid.errors import UserError

PERPLEXITY = 30.0
"""Default of scikit-learn and of the original; pictures of few images use less."""


@dataclass(frozen=True, eq=False)
class Plane:
    """Attributes:
    points: ``(N, 2) float32``; only neighbourhood has a meaning, not the axes or the distances between groups.
    pids, camids: ``(N,) int64`` of the images.
    perplexity: roughly the number of neighbours that each image should keep.
    seed: of the layout.
    """

    points: np.ndarray
    pids: np.ndarray
    camids: np.ndarray
    perplexity: float
    seed: int


def tsne_plane(
    features: RetrievalFeatures,
    persons: int = 10,
    seed: int = 0,
    perplexity: float | None = None,
    metric: str = "cosine",
    named: Collection[int] = (),
    most: int | None = None,
) -> Plane:
    """All images, queries and gallery, of ``persons`` identities that ``seed`` draws from those with three images or
    more, laid out by scikit-learn's ``TSNE``. Junk and distractors are left out, and an image that is on both sides is
    taken once.

    Args:
        persons: number of identities; fewer are taken if there are fewer.
        named: identities that are taken before any are drawn, including those with fewer images.
        perplexity: below the number of images; None takes ``PERPLEXITY``, or a third of the images if that is less
            (more neighbours than that would be most of the picture).
        metric: ``cosine`` lays out features of length 1, whose Euclidean distances rank as cosines do.
        most: greatest number of images; if there are more, this many are drawn.

    Raises:
        UserError: scikit-learn is not installed, there is no such person, a feature is NaN or infinite, all images have
            one embedding, or the perplexity does not fit.
    """
    need_sklearn()
    check_features(features.query.features, features.gallery.features)
    vectors, pids, camids = _images(features)
    known, counts = np.unique(pids, return_counts=True)
    nobody = (*features.rule.junk_pids, *features.rule.distractor_pids)
    eligible = known[(counts >= 3) & ~np.isin(known, nobody)]
    if not len(eligible):
        raise UserError(
            "t-SNE: no person has at least three images in query and gallery together: there is nothing to lay out"
        )
    shown = np.flatnonzero(np.isin(pids, _chosen(eligible, known[~np.isin(known, nobody)], named, persons, seed)))
    shown = _at_most(most, shown, seed)
    if len(shown) < 3:
        raise UserError(f"t-SNE: {len(shown)} images are too few to lay out; raise --persons")
    points, perplexity = lay_out(vectors[shown], seed, perplexity, metric)
    return Plane(points, pids[shown], camids[shown], perplexity, seed)


def labelled_plane(
    given: LabelledVectors,
    labels: int = 10,
    seed: int = 0,
    perplexity: float | None = None,
    metric: str = "cosine",
    named: Collection[int] = (),
    most: int | None = None,
) -> Plane:
    """The vectors of ``labels`` labels that ``seed`` draws from those with three or more vectors. The plane's ``pids``
    are the labels. Other arguments are ``tsne_plane``'s.

    Raises:
        UserError: as ``tsne_plane``.
    """
    need_sklearn()
    known, counts = np.unique(given.labels, return_counts=True)
    eligible = known[counts >= 3]
    if not len(eligible):
        raise UserError(f"t-SNE: no {given.word} has at least three vectors: there is nothing to lay out")
    shown = np.flatnonzero(np.isin(given.labels, _chosen(eligible, known, named, labels, seed)))
    shown = _at_most(most, shown, seed)
    if len(shown) < 3:
        raise UserError(f"t-SNE: {len(shown)} vectors are too few to lay out; raise --persons or --images")
    points, perplexity = lay_out(given.vectors[shown], seed, perplexity, metric)
    return Plane(points, given.labels[shown], given.camids[shown], perplexity, seed)


def lay_out(vectors: np.ndarray, seed: int, perplexity: float | None, metric: str) -> tuple[np.ndarray, float]:
    """``(N, 2) float32`` points of ``vectors (N, D)``, and the perplexity; arguments are ``tsne_plane``'s.

    Raises:
        UserError: scikit-learn is not installed, the perplexity does not fit, vectors have only one number each, or all
            vectors are equal.
    """
    vectors = vectors.astype(np.float64)
    if vectors.shape[1] < 2:
        raise UserError("t-SNE: vectors of one number already are on a line; give longer ones")
    if metric == "cosine":
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    if perplexity is None:
        perplexity = min(PERPLEXITY, len(vectors) / 3)
    elif not 0 < perplexity < len(vectors):
        raise UserError(f"--perplexity {perplexity:g}: must be between 0 and the number of images, {len(vectors)}")
    spread = np.ptp(vectors, axis=0).max()
    if not spread:
        # scikit-learn divides by their spread, and its tree ends the process if points are NaN.
        raise UserError(
            f"t-SNE: all {len(vectors)} images have the same embedding: the network collapsed; train it again"
        )
    if not 1e-9 < spread < 1e9:
        # It squares distances in float32, where those below 1e-22 vanish; and a layout does not depend on scale.
        vectors = (vectors - vectors.mean(axis=0)) / spread
    layout = need_sklearn().TSNE(perplexity=perplexity, init="pca", random_state=seed % 2**32)
    return layout.fit_transform(vectors), float(perplexity)


def _chosen(eligible: np.ndarray, known: np.ndarray, named: Collection[int], count: int, seed: int) -> np.ndarray:
    """``count`` numbers: those of ``known`` that are ``named``, then ones that ``seed`` draws from ``eligible``."""
    drawn = eligible[np.argsort(np.random.default_rng(seed).random(len(eligible)), kind="stable")]
    first = known[np.isin(known, list(named))]
    return np.concatenate([first, drawn[~np.isin(drawn, first)]])[:count]


def _at_most(most: int | None, shown: np.ndarray, seed: int) -> np.ndarray:
    """``shown``, or ``most`` of them, drawn by ``seed``."""
    if most is None or len(shown) <= most:
        return shown
    return np.sort(np.random.default_rng(seed).permutation(shown)[:most])


def _images(features: RetrievalFeatures) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, identities and cameras of the queries followed by the gallery."""
    query, gallery = features.query, features.gallery
    if query.ids is not None and gallery.ids is not None:
        query = query.select(torch.from_numpy(~np.isin(query.ids, gallery.ids)))
    return tuple(
        torch.cat([getattr(side, name).cpu() for side in (query, gallery)]).numpy()
        for name in ("features", "pids", "camids")
    )

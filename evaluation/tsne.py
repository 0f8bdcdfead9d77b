"""Embeddings of a few persons laid out in a plane by t-SNE (van der Maaten & Hinton 2008)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch

from evaluation.features.files import RetrievalFeatures
from evaluation.retrieval.distances import check_features
from reid.errors import UserError

PERPLEXITY = 30.0
"""scikit-learn's and the original's; what a picture of few images is given is less."""


@dataclass(frozen=True, eq=False)
class Plane:
    """Attributes:
    points: ``(N, 2) float32``; only who lies beside whom has a meaning, no axis and no distance between groups.
    pids, camids: ``(N,) int64`` of the images.
    perplexity: roughly, how many neighbours each image was to keep.
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
) -> Plane:
    """All images, queries and gallery, of ``persons`` identities that ``seed`` draws from those with three images or
    more, by scikit-learn's ``TSNE``. Junk and distractors, who are nobody in particular, are left out, and an image
    that is on both sides is taken once.

    Args:
        persons: fewer where there are fewer.
        named: identities that are taken before any are drawn, those with fewer images too.
        perplexity: below the number of images; None takes ``PERPLEXITY``, or a third of the images where that is less
            (more neighbours than that are most of the picture).
        metric: ``cosine`` lays out features of length 1, whose Euclidean distances rank as cosines do.

    Raises:
        UserError: scikit-learn is not installed, there is no such person, a feature is NaN or infinite, all images have
            one embedding, or the perplexity does not fit.
    """
    manifold = need_sklearn()
    check_features(features.query.features, features.gallery.features)
    vectors, pids, camids = _images(features)
    known, counts = np.unique(pids, return_counts=True)
    nobody = (*features.rule.junk_pids, *features.rule.distractor_pids)
    eligible = known[(counts >= 3) & ~np.isin(known, nobody)]
    if not len(eligible):
        raise UserError("t-SNE: no person has three images or more in query and gallery together: nothing to lay out")
    drawn = eligible[np.argsort(np.random.default_rng(seed).random(len(eligible)), kind="stable")]
    first = np.isin(known, list(named)) & ~np.isin(known, nobody)
    chosen = np.concatenate([known[first], drawn[~np.isin(drawn, known[first])]])[:persons]
    shown = np.flatnonzero(np.isin(pids, chosen))
    if len(shown) < 3:
        raise UserError(f"t-SNE: {len(shown)} images are nothing to lay out; raise --persons")
    vectors = vectors[shown].astype(np.float64)
    if metric == "cosine":
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    if perplexity is None:
        perplexity = min(PERPLEXITY, len(shown) / 3)
    elif not 0 < perplexity < len(shown):
        raise UserError(f"--perplexity {perplexity:g}: must lie between 0 and the number of images, {len(shown)}")
    if not np.ptp(vectors, axis=0).any():
        # scikit-learn divides by their spread, and its tree of points that are NaN ends the process.
        raise UserError(f"t-SNE: all {len(shown)} images have the same embedding; the network that made them collapsed")
    layout = manifold.TSNE(perplexity=perplexity, init="pca", random_state=seed % 2**32)
    return Plane(layout.fit_transform(vectors), pids[shown], camids[shown], float(perplexity), seed)


def need_sklearn() -> ModuleType:
    """``sklearn.manifold``; raises UserError where scikit-learn is not installed."""
    try:
        from sklearn import manifold
    except ImportError:
        raise UserError("t-SNE needs scikit-learn: pip install scikit-learn") from None
    return manifold


def _images(features: RetrievalFeatures) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, identities and cameras of the queries and then the gallery."""
    query, gallery = features.query, features.gallery
    if query.ids is not None and gallery.ids is not None:
        query = query.select(torch.from_numpy(~np.isin(query.ids, gallery.ids)))
    return tuple(
        torch.cat([getattr(side, name).cpu() for side in (query, gallery)]).numpy()
        for name in ("features", "pids", "camids")
    )

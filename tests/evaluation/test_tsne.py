"""Which images the t-SNE lays out, and that scikit-learn's own says the same."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from evaluation.features.files import LabeledFeatures, RetrievalFeatures
from evaluation.retrieval.rules import RECORDS
from evaluation.tsne import tsne_plane
from reid.errors import UserError

manifold = pytest.importorskip("sklearn.manifold")
PIDS = np.repeat([-1, 0, 1, 2, 3, 4, 5], [6, 6, 2, 9, 9, 9, 9])
"""Person 1 has two images; -1 and 0 are nobody."""


def features(ids: bool = False) -> RetrievalFeatures:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(len(PIDS), 6)) + 8 * draw.normal(size=(7, 6))[PIDS + 1]
    vectors = torch.tensor(vectors, dtype=torch.float32)
    pids, camids = torch.tensor(PIDS), torch.arange(len(PIDS)) % 3 + 1
    names = np.arange(len(PIDS)).astype(str) if ids else None
    whole = LabeledFeatures(vectors, pids, camids, names)
    query = torch.arange(len(PIDS)) % 9 == 8
    return RetrievalFeatures(whole.select(query), whole if ids else whole.select(~query), RECORDS)


def test_persons_are_drawn_whole_and_nobody_is_left_out():
    drawn = [tsne_plane(features(), 2, seed) for seed in range(2)]
    for plane in drawn:
        persons, counts = np.unique(plane.pids, return_counts=True)
        assert set(persons) <= {2, 3, 4, 5} and counts.tolist() == [9, 9]
        assert plane.points.shape == (18, 2) and plane.camids.shape == (18,) and plane.perplexity == 6
    assert set(drawn[0].pids) != set(drawn[1].pids)


def test_an_image_on_both_sides_is_taken_once():
    assert len(tsne_plane(features(ids=True), 20).pids) == 36


def test_it_is_scikit_learns_of_unit_vectors():
    plane, whole = tsne_plane(features(), 20, seed=7, perplexity=5), features()
    vectors = torch.cat([whole.query.features, whole.gallery.features]).numpy()
    pids = torch.cat([whole.query.pids, whole.gallery.pids]).numpy()
    vectors = vectors[pids > 1].astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = manifold.TSNE(perplexity=5, init="pca", random_state=7).fit_transform(vectors)
    np.testing.assert_array_equal(plane.points, expected)
    assert (plane.perplexity, plane.seed) == (5, 7) and plane.pids.tolist() == pids[pids > 1].tolist()


def test_neighbours_are_the_same_person():
    """Persons eight standard deviations apart: whoever lies nearest is of the same one."""
    plane = tsne_plane(features(), 20)
    assert set(plane.pids) == {2, 3, 4, 5}
    between = np.linalg.norm(plane.points[:, None] - plane.points[None], axis=2)
    np.fill_diagonal(between, np.inf)
    assert (plane.pids[between.argmin(axis=1)] == plane.pids).mean() > 0.95


def test_refusals(monkeypatch):
    with pytest.raises(UserError, match="--perplexity 18: must lie between 0 and the number of images, 18"):
        tsne_plane(features(), 2, perplexity=18)
    few = features()
    few = RetrievalFeatures(few.query.select(few.query.pids < 2), few.gallery.select(few.gallery.pids < 2), RECORDS)
    with pytest.raises(UserError, match="no person has three images or more"):
        tsne_plane(few)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(UserError, match="t-SNE needs scikit-learn: pip install scikit-learn"):
        tsne_plane(features())

"""Which images the t-SNE lays out, and that scikit-learn's own says the same."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
import torch

from evaluation.retrieval.labeled_features import LabeledFeatures, RetrievalFeatures
from evaluation.retrieval.rules import RECORDS
from evaluation.tsne import lay_out, tsne_plane
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


def test_named_persons_come_first_whatever_is_drawn():
    for seed in range(3):
        assert set(tsne_plane(features(), 2, seed, named=[1, 5]).pids) == {1, 5}  # person 1 has two images
    drawn = tsne_plane(features(), 3, named=[4]).pids
    assert 4 in drawn and len(set(drawn)) == 3 and set(drawn) <= {2, 3, 4, 5}
    assert set(tsne_plane(features(), 1, named=[0, -1]).pids) <= {2, 3, 4, 5}  # nobody in particular


@pytest.mark.parametrize("value", [0.0, 0.37], ids=["zeros", "one vector"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_collapsed_network_is_refused(value, metric):
    """scikit-learn would end the process by a segmentation fault."""
    whole = features()
    sides = [dataclasses.replace(side, features=torch.full_like(side.features, value)) for side in _sides(whole)]
    with pytest.raises(UserError, match="t-SNE: all 36 images have the same embedding: the network collapsed"):
        tsne_plane(RetrievalFeatures(*sides, RECORDS), 20, metric=metric)


@pytest.mark.parametrize("scale", [2.0**-100, 2.0**70])
def test_a_layout_knows_no_scale(scale):
    """Differences whose squares are no float32 numbers ended the process in scikit-learn, or had no layout."""
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(24, 4)) + np.repeat(9 * draw.normal(size=(3, 4)), 8, axis=0)
    points, _ = lay_out(vectors * scale, 0, 4, "euclidean")
    between = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(between, np.inf)
    assert (between.argmin(axis=1) // 8 == np.arange(24) // 8).all()


def test_features_that_are_no_numbers_are_refused():
    query, gallery = _sides(features())
    gallery.features[3, 1] = torch.nan
    with pytest.raises(UserError, match="gallery features contain NaN or infinite values"):
        tsne_plane(RetrievalFeatures(query, gallery, RECORDS))


def test_vectors_of_one_number_are_refused():
    sides = [dataclasses.replace(side, features=side.features[:, :1]) for side in _sides(features())]
    with pytest.raises(UserError, match="vectors of one number already are on a line"):
        tsne_plane(RetrievalFeatures(*sides, RECORDS))


def _sides(whole: RetrievalFeatures) -> list[LabeledFeatures]:
    return [whole.query, whole.gallery]


def test_refusals(monkeypatch):
    with pytest.raises(UserError, match="t-SNE: 2 images are too few to lay out; raise --persons"):
        tsne_plane(features(), 1, named=[1])
    with pytest.raises(UserError, match="--perplexity 18: must be between 0 and the number of images, 18"):
        tsne_plane(features(), 2, perplexity=18)
    few = features()
    few = RetrievalFeatures(few.query.select(few.query.pids < 2), few.gallery.select(few.gallery.pids < 2), RECORDS)
    with pytest.raises(UserError, match="no person has at least three images"):
        tsne_plane(few)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(UserError, match="t-SNE needs scikit-learn: pip install scikit-learn"):
        tsne_plane(features())

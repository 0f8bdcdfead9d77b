"""Neighbour lists against stable sorting, sets against sets, sums of minima against the dense sum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from evaluation.reranking import neighbours as neighbours_module
from evaluation.reranking.encoding import expanded, half_size, k_reciprocal
from evaluation.reranking.jaccard import jaccard_blocks
from evaluation.reranking.matrices import MatrixDistances
from evaluation.reranking.neighbours import nearest_neighbours
from evaluation.reranking.sources import FeatureDistances


@pytest.mark.parametrize("k1, size", [(1, 1), (2, 2), (3, 2), (4, 3), (7, 4), (19, 10), (20, 11), (21, 11), (23, 12)])
def test_half_size_is_matlabs_rounding(k1, size):
    assert half_size(k1) == size


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 5), st.integers(1, 400), st.integers(1, 3), st.integers(1, 60), st.integers(0, 2**16))
def test_neighbours_are_those_of_a_stable_sort(queries, gallery, width, count, seed):
    """On a lattice: many distances are equal, and all are exact. 400 images are enough for groups of columns."""
    random = np.random.default_rng(seed)
    features = random.integers(-3, 4, (queries + gallery, width)) + 100.0
    squares = np.square(features[:, None] - features[None]).sum(axis=2)
    expected = np.argsort(squares, axis=1, kind="stable")[:, :count]
    done: list[int] = []
    source = FeatureDistances(torch.tensor(features[:queries]), torch.tensor(features[queries:]), "euclidean")
    found = nearest_neighbours(source, count, done.append)
    np.testing.assert_array_equal(found.ranks, expected)
    assert sum(done) == queries + gallery
    assert found.farthest * 4.0 ** np.round(np.log2(_scale(source, squares))) == pytest.approx(squares.max(axis=1))


def test_distances_that_float32_cannot_tell_apart_are_ordered():
    """All images of the gallery are at a distance of 1 from the query but for some 1e-9: rows are off by more."""
    random = np.random.default_rng(0)
    lengths = 1 + 1e-9 * random.permutation(300)
    squares = np.square(lengths)[:, None] + np.square(lengths)
    np.fill_diagonal(squares, 0)
    whole = np.block([[np.zeros((1, 1)), np.square(lengths)[None]], [np.square(lengths)[:, None], squares]])
    directions = np.linalg.qr(random.normal(size=(300, 300)))[0]  # at right angles, and none of whole numbers
    gallery = torch.tensor(lengths[:, None] * directions)
    source = FeatureDistances(torch.zeros(1, 300, dtype=torch.float64), gallery, "euclidean")
    found = nearest_neighbours(source, 12, lambda _: None)
    np.testing.assert_array_equal(found.ranks, np.argsort(whole, axis=1, kind="stable")[:, :12])


def _scale(source: FeatureDistances, squares: np.ndarray) -> float:
    """What lengths are divided by: any number will do for re-ranking, as long as it is one for all."""
    largest = np.unravel_index(squares.argmax(), squares.shape)
    scaled = source.pairs(*(np.array([index]) for index in largest))[0]
    return np.sqrt(squares.max() / scaled) if scaled else 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_are_within_the_slack_of_the_pairs(dtype):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(120, 300, generator=generator, dtype=dtype) * torch.logspace(-3, 2, 120)[:, None]
    source = FeatureDistances(features[:20], features[20:], "euclidean")
    first, second = (index.ravel() for index in np.indices((120, 120)))
    error = np.abs(source.rows(0, 120) - source.pairs(first, second).reshape(120, 120))
    assert error.max() > 0
    assert (error <= source.slack(0, 120)[:, None]).all()
    assert (source.slack(0, 120).max() < 1e-3 * source.rows(0, 120).max()).all()


def test_matrix_rows_are_the_matrices_side_by_side(monkeypatch):
    """Asymmetric matrices tell rows from columns."""
    random = np.random.default_rng(0)
    given = [random.random(shape, dtype=np.float32) for shape in ((3, 3), (3, 5), (5, 5))]
    whole = np.block([[given[0], given[1]], [given[1].T, given[2]]]).astype(np.float64)
    source = MatrixDistances(*given, squared=False)
    for start in range(8):
        for stop in range(start + 1, 9):
            np.testing.assert_array_equal(source.rows(start, stop), whole[start:stop] ** 2)
    first, second = (index.ravel() for index in np.indices((8, 8)))
    np.testing.assert_array_equal(source.pairs(first, second).reshape(8, 8), whole**2)

    monkeypatch.setattr(neighbours_module, "BLOCK_ROWS", 2)
    monkeypatch.setattr(neighbours_module, "BLOCK_ELEMENTS", 1)
    found = nearest_neighbours(source, 4, lambda _: None)
    np.testing.assert_array_equal(found.ranks, np.argsort(whole, axis=1, kind="stable")[:, :4])
    np.testing.assert_array_equal(found.farthest, (whole**2).max(axis=1))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 25), st.integers(1, 12), st.integers(0, 2**16))
def test_sets_are_those_of_the_definition(images, k1, seed):
    random = np.random.default_rng(seed)
    ranks = np.array([random.permutation(images) for _ in range(images)])  # an image need not be near itself

    def reciprocal(image: int, size: int) -> set[int]:
        return {other for other in ranks[image, :size].tolist() if image in ranks[other, :size]}

    near, half = k_reciprocal(ranks, k1 + 1), k_reciprocal(ranks, half_size(k1))
    found = expanded(near, half)
    for image in range(images):
        expected = reciprocal(image, k1 + 1)
        assert set(near[[image]].indices.tolist()) == expected
        for other in reciprocal(image, k1 + 1):
            own = reciprocal(other, half_size(k1))
            if len(own & reciprocal(image, k1 + 1)) * 3 > len(own) * 2:
                expected |= own
        assert set(found[[image]].indices.tolist()) == expected


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 12), st.floats(0, 1), st.integers(0, 2**16))
def test_jaccard_is_that_of_the_dense_vectors(queries, gallery, width, density, seed):
    random = np.random.default_rng(seed)
    dense = random.random((queries + gallery, width)) * (random.random((queries + gallery, width)) < density)
    dense /= np.maximum(dense.sum(axis=1, keepdims=True), 1e-9)
    shared = np.minimum(dense[:queries, None], dense[None, queries:]).sum(axis=2)
    blocks = jaccard_blocks(sparse.csr_array(dense[:queries]), sparse.csc_array(dense[queries:]))
    np.testing.assert_allclose(np.concatenate(list(blocks)), 1 - shared / (2 - shared), atol=1e-12)

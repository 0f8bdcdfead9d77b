"""Distances against float64 formulas over the differences of single pairs."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from evaluation.retrieval import distances as distances_module
from evaluation.retrieval.distances import METRICS, distance_blocks, pairwise_distances, ranking_blocks
from reid.errors import UserError


def features(count: int, dim: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)) + shift


def pair_by_pair(query: torch.Tensor, gallery: torch.Tensor, metric: str) -> torch.Tensor:
    query, gallery = query.double()[:, None], gallery.double()[None]
    if metric == "euclidean":
        return (query - gallery).square().sum(dim=2).sqrt()
    return 1 - (query * gallery).sum(dim=2) / (query.norm(dim=2) * gallery.norm(dim=2))


@pytest.mark.parametrize("shift", [0.0, 3.0])
@pytest.mark.parametrize("metric", METRICS)
def test_equal_the_formula(metric, shift):
    query, gallery = features(9, 64, 0, shift), features(40, 64, 1, shift)
    distances = pairwise_distances(query, gallery, metric)
    assert distances.dtype == torch.float32 and distances.shape == (9, 40)
    assert torch.allclose(distances.double(), pair_by_pair(query, gallery, metric), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shift", [30.0, 1000.0, 1e4])
def test_features_that_crowd_far_from_zero(metric, shift, monkeypatch):
    """Relative to the spread of the distances they are as exact as elsewhere; whole float32 products lose them. Also
    where the gallery is looked through in several parts."""
    monkeypatch.setattr(distances_module, "_ROWS", 70)
    gallery, query = features(300, 64, 1).double() + shift, features(20, 64, 0).double() + shift
    expected = (
        (query[:, None] - gallery).square().sum(dim=2).sqrt()
        if metric == "euclidean"
        else _one_minus_cosine(query, gallery)
    )
    spread = expected.std()
    distances = pairwise_distances(query, gallery, metric).double()
    assert (distances - expected).abs().max() < 1e-4 * spread
    (ranking,) = ranking_blocks(query, gallery, metric)
    squares = expected.square() if metric == "euclidean" else expected
    offsets = ranking.double() - squares
    assert (offsets - offsets.mean(dim=1, keepdim=True)).abs().max() < 1e-4 * squares.std()
    same = pairwise_distances(gallery, gallery, metric)
    assert same.diagonal().max() < 2e-3 * same.mean()


def _one_minus_cosine(query: torch.Tensor, gallery: torch.Tensor) -> torch.Tensor:
    """By the difference of the vectors of length 1, in which nothing cancels."""
    query, gallery = (each / each.norm(dim=1, keepdim=True) for each in (query, gallery))
    return (query[:, None] - gallery).square().sum(dim=2) / 2


@pytest.mark.parametrize("metric", METRICS)
def test_equal_distances_stay_equal_far_from_zero(metric):
    """Whole numbers: equal images, and by Euclid's distance images at either side."""
    gallery = torch.tensor([[1000.0, 1001.0], [1002.0, 1001.0], [1000.0, 1001.0], [1001.0, 1002.0]])
    (rows,) = ranking_blocks(torch.tensor([[1001.0, 1001.0]]), gallery, metric)
    assert rows[0, 0] == rows[0, 2]
    if metric == "euclidean":
        assert len(rows.unique()) == 1


@pytest.mark.parametrize("size", [1e-30, 1e-13, 1e18, 1e25])
def test_cosine_knows_no_length(size):
    query, gallery = features(6, 32, 0), features(30, 32, 1)
    scaled = pairwise_distances(query * size, gallery * size)
    assert torch.allclose(scaled, pairwise_distances(query, gallery), atol=1e-6)


@pytest.mark.parametrize("size", [1e-35, 1e-22, 1e19, 1e35])
def test_euclidean_order_knows_no_length(size):
    """Squares of such features are 0 or infinite in float32. Also where no number is above zero."""
    query, gallery = features(6, 32, 0), features(30, 32, 1)
    for own, others in ((query, gallery), (-query.relu(), -gallery.relu())):
        expected = pairwise_distances(own, others, "euclidean").argsort(dim=1)
        (rows,) = ranking_blocks(own * size, others * size, "euclidean")
        assert torch.equal(rows.argsort(dim=1), expected)


def test_zeros_are_at_one_from_everything():
    some, zeros = features(7, 16, 2), torch.zeros(3, 16)
    assert pairwise_distances(zeros, some).unique().tolist() == [1]
    assert pairwise_distances(some, zeros).unique().tolist() == [1]


def test_worked_by_hand():
    query, gallery = torch.tensor([[3.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 2.0], [-1.0, 0.0], [0.0, 0.0]])
    assert pairwise_distances(query, gallery, "euclidean").tolist()[0] == pytest.approx([4, 13**0.5, 4, 3])
    assert pairwise_distances(query, gallery, "cosine").tolist()[0] == pytest.approx([0.4, 1, 2, 1])


@pytest.mark.parametrize("metric", METRICS)
def test_duplicates_are_at_zero_and_nothing_is_below(metric):
    query = features(200, 256, 3)
    own = pairwise_distances(query, query.clone(), metric)
    assert own.diagonal().abs().max() < 1e-5 and own.min() >= 0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("block", [1, 4, 9, 100])
def test_blocks_are_the_rows_in_order(metric, block):
    query, gallery = features(9, 8, 4), features(30, 8, 5)
    whole, blocks = pairwise_distances(query, gallery, metric), list(distance_blocks(query, gallery, metric, block))
    assert [len(rows) for rows in blocks[:-1]] == [block] * (len(blocks) - 1)
    assert torch.allclose(torch.cat(blocks), whole, atol=1e-6)
    ranking = torch.cat(list(ranking_blocks(query, gallery, metric, block)))
    assert torch.equal(ranking.argsort(dim=1), whole.argsort(dim=1))


def test_no_query_gives_no_rows():
    assert pairwise_distances(torch.zeros(0, 3), torch.ones(4, 3)).shape == (0, 4)
    assert pairwise_distances(torch.ones(4, 3), torch.zeros(0, 3)).shape == (4, 0)


def test_blocks_may_be_changed_by_their_reader():
    """Also where features were made with gradients or in inference mode."""
    with torch.inference_mode():
        query = features(3, 4, 6)
    for rows in distance_blocks(query.clone(), features(5, 4, 7).requires_grad_(), "euclidean", 2):
        rows.add_(1)
        assert not rows.requires_grad


@pytest.mark.parametrize("metric", METRICS)
def test_arrays_give_what_tensors_give(metric):
    """However they lie in memory: read-only as those of a file, reversed, every other row."""
    query, gallery = features(6, 4, 8), features(10, 4, 9)
    fixed = query.numpy().copy()
    fixed.flags.writeable = False
    expected = pairwise_distances(query, gallery, metric)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns of arrays that it must not write to
        assert torch.equal(pairwise_distances(fixed, gallery.numpy(), metric), expected)
    assert torch.equal(pairwise_distances(query.numpy()[::-1], gallery.numpy()[::2], metric), expected.flip(0)[:, ::2])
    assert torch.equal(pairwise_distances(query.numpy(), gallery, metric), expected)


@pytest.mark.parametrize("function", [pairwise_distances, distance_blocks, ranking_blocks])
@pytest.mark.parametrize(
    "query, gallery, metric, message",
    [
        (None, torch.zeros(2, 5), "cosine", "query features must be a tensor or an array of numbers"),
        (torch.zeros(1, 4), np.array([["a"] * 4]), "cosine", "gallery features must be a tensor or an array"),
        ([[1.0, 2.0], [3.0]], torch.zeros(2, 2), "cosine", "query features must be a tensor or an array"),
        (torch.zeros(1, 4), torch.zeros(2, 5), "cosine", "features must have shapes"),
        (torch.zeros(4), torch.zeros(2, 4), "cosine", "features must have shapes"),
        (torch.zeros(1, 4), torch.zeros(2, 4), "euclid", "metric 'euclid' is unknown; .* nearest: euclidean"),
        (torch.full((1, 4), torch.inf), torch.zeros(2, 4), "cosine", "query features contain NaN or infinite"),
        (torch.zeros(1, 4), torch.zeros(2, 4, device="meta"), "cosine", "query features are on cpu"),
    ],
)
def test_unusable_features_are_named_at_the_call(function, query, gallery, metric, message):
    with pytest.raises(UserError, match=message):
        function(query, gallery, metric)

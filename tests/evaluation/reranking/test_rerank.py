"""Oracle: the paper's steps as the plain loops of ``evaluation.vectors.reference`` over dense float64 matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from evaluation.reranking import (
    ReRanking,
    encoding,
    jaccard,
    neighbours,
    rerank_blocks,
    rerank_distances,
    rerank_from_distances,
)
from evaluation.retrieval.distances import pairwise_distances
from evaluation.retrieval.metrics import score_blocks, score_features
from evaluation.vectors.reference.reranking import rerank
from reid.config import build_config
from reid.errors import UserError


def squares_of(query, gallery, metric: str = "euclidean") -> np.ndarray:
    """``(N, N)`` squared distances from differences, so that equal features are at 0."""
    features = torch.cat([query, gallery]).double().numpy()
    if metric == "cosine":
        lengths = [math.hypot(*row) for row in features]  # not numpy's: its rounding depends on where a row stands
        features = features / np.array([length or 1 for length in lengths])[:, None]
    return np.square(features[:, None] - features[None]).sum(axis=2)


def plain(squares: np.ndarray, queries: int, config: ReRanking) -> np.ndarray:
    """Re-ranked ``(Q, G)`` distances from ``(N, N)`` squared ones."""
    return rerank(squares, queries, config.k1, config.k2, config.weight)


def clusters(queries: int, gallery: int, width: int, identities: int, noise: float = 1.0, seed: int = 0):
    """Query and gallery features with their identities; each identity is spread around a centre."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(identities, width, generator=generator)
    sides = []
    for count in (queries, gallery):
        pids = torch.randint(identities, (count,), generator=generator) + 1
        sides.append((centres[pids - 1] + noise * torch.randn(count, width, generator=generator), pids))
    return sides


def assert_equal(actual: torch.Tensor, expected: np.ndarray, tolerance: float = 1e-6) -> None:
    assert actual.dtype == torch.float32 and actual.device.type == "cpu"
    np.testing.assert_allclose(actual.numpy(), expected, rtol=0, atol=tolerance)


def test_two_pairs_on_a_line():
    """k1 = k2 = 1 leaves each image and its nearest one; the rest can be worked out by hand."""
    query, gallery = torch.tensor([[0.0]]), torch.tensor([[1.0], [10.0], [11.0]])
    own = 1 / (1 + math.exp(-1 / 121))  # of the query's weight, on itself; row maximum 11^2
    other = math.exp(-1 / 100) / (1 + math.exp(-1 / 100))  # of the first gallery image's weight, on the query
    shared = min(own, other) + min(1 - own, 1 - other)
    expected = [[0.7 * (1 - shared / (2 - shared)) + 0.3 / 121, 0.7 + 0.3 * 100 / 121, 1.0]]
    assert_equal(rerank_distances(query, gallery, ReRanking(k1=1, k2=1), "euclidean"), np.array(expected))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(
    "config",
    [
        ReRanking(),
        ReRanking(k1=19, k2=3),  # the authors' half set has 10 here, numpy's rounding gives 11
        ReRanking(k1=7, k2=1, weight=0.0),
        ReRanking(k1=1, k2=1),
        ReRanking(k1=4, k2=30),
        ReRanking(k2=2, weight=1.0),
        ReRanking(k1=3, k2=2),
        ReRanking(k1=500, k2=600),
    ],
    ids=str,
)
def test_equals_the_plain_loops(config, metric):
    (query, _), (gallery, _) = clusters(9, 71, 16, 8)
    expected = plain(squares_of(query, gallery, metric), 9, config)
    assert_equal(rerank_distances(query, gallery, config, metric), expected)


def test_features_of_zeros_are_as_far_from_all_directions():
    """Along the axes, where lengths of 1 are exact: zeros are at the same distance from each."""
    random = np.random.default_rng(0)
    features = torch.zeros(40, 5)
    features[range(40), random.integers(0, 5, 40)] = torch.tensor(2.0 ** random.integers(-3, 4, 40)).float()
    features[[3, 20, 21]] = 0
    config = ReRanking(k1=6, k2=3)
    expected = plain(squares_of(features[:8], features[8:], "cosine"), 8, config)
    assert_equal(rerank_distances(features[:8], features[8:], config), expected)


@st.composite
def retrievals(draw):
    metric = draw(st.sampled_from(["cosine", "euclidean"]))
    queries, gallery = draw(st.integers(1, 6)), draw(st.integers(1, 30))
    # Directions that are equal but for rounding have no order: none in one dimension, none on a lattice.
    width = draw(st.integers(2 if metric == "cosine" else 1, 4))
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    kind = draw(st.sampled_from(["normal", "clustered", "copies", "equal", *["lattice"] * (metric == "euclidean")]))
    features = random.normal(size=(queries + gallery, width))
    if kind == "clustered":
        features = features * 0.1 + random.normal(size=(4, width))[random.integers(0, 4, queries + gallery)]
    elif kind == "lattice":  # many equal distances, exact in float32
        features = random.integers(-2, 3, features.shape) / 4
    elif kind == "copies":
        features = features[random.integers(0, draw(st.integers(1, min(8, len(features)))), len(features))]
    elif kind == "equal":
        features = np.broadcast_to(features[0], features.shape)
    features = torch.tensor(features * draw(st.sampled_from([1, 1e-25, 1e25])), dtype=torch.float32)
    return features[:queries], features[queries:], metric


CONFIGS = st.builds(
    ReRanking, k1=st.integers(1, 45), k2=st.integers(1, 12), weight=st.sampled_from([0.0, 0.3, 1.0]) | st.floats(0, 1)
)


@settings(max_examples=150, deadline=None)
@given(retrievals(), CONFIGS)
def test_equals_the_plain_loops_on_any_retrieval(retrieval, config):
    query, gallery, metric = retrieval
    squares = squares_of(query, gallery, metric)
    expected = plain(squares, len(query), config)
    assert_equal(rerank_distances(query, gallery, config, metric), expected, 1e-5)
    matrices = [
        torch.from_numpy(squares[rows, columns])
        for rows, columns in (
            (slice(None, len(query)), slice(None, len(query))),
            (slice(None, len(query)), slice(len(query), None)),
            (slice(len(query), None), slice(len(query), None)),
        )
    ]
    assert_equal(rerank_from_distances(*matrices, config, squared=True), expected, 1e-6)


@pytest.mark.parametrize("place", ["far away", "one outlier"])
def test_precision_does_not_depend_on_where_features_lie(place):
    """Squared distances by ``|x|^2 + |y|^2 - 2 x.y`` in float32 would be noise here."""
    (query, _), (gallery, _) = clusters(8, 90, 12, 6)
    if place == "far away":
        query, gallery = query + 1e4, gallery + 1e4
    else:
        gallery[40] *= 1e4
    expected = plain(squares_of(query, gallery), 8, ReRanking())
    assert_equal(rerank_distances(query, gallery, metric="euclidean"), expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_features_of_other_types(dtype):
    (query, _), (gallery, _) = clusters(8, 90, 12, 6)
    query, gallery = query.to(dtype), gallery.to(dtype)
    expected = plain(squares_of(query, gallery), 8, ReRanking())
    assert_equal(rerank_distances(query, gallery, metric="euclidean"), expected)


def test_lower_precision_of_the_program_is_not_taken_over():
    (query, _), (gallery, _) = clusters(8, 90, 12, 6)
    expected = plain(squares_of(query, gallery), 8, ReRanking())
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert_equal(rerank_distances(query, gallery, metric="euclidean"), expected)
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["highest", "high"])
def test_a_gpu_gives_the_same(precision):
    (query, _), (gallery, _) = clusters(50, 900, 64, 40)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        found = rerank_distances(query.cuda(), gallery.cuda())
    finally:
        torch.set_float32_matmul_precision(before)
    assert_equal(found, rerank_distances(query, gallery).numpy())


def test_blocks_do_not_change_the_result(monkeypatch):
    (query, _), (gallery, _) = clusters(23, 150, 16, 10)
    whole = rerank_distances(query, gallery)
    for module, names in ((neighbours, ("BLOCK_ROWS", "BLOCK_ELEMENTS")), (encoding, ("BLOCK_ROWS",))):
        for name in names:
            monkeypatch.setattr(module, name, 7)
    for size, least, most in ((1, 23, 23), (20_000, 3, 20), (1 << 20, 1, 1)):
        monkeypatch.setattr(jaccard, "BLOCK_ELEMENTS", size)
        blocks = list(rerank_blocks(query, gallery))
        assert least <= len(blocks) <= most
        torch.testing.assert_close(torch.cat(blocks), whole, rtol=0, atol=1e-6)


def test_better_scores_where_neighbours_help():
    (query, query_pids), (gallery, gallery_pids) = clusters(60, 900, 16, 30, noise=1.1)
    ones = torch.ones_like
    labels = query_pids, ones(query_pids), gallery_pids, 2 * ones(gallery_pids)
    before = score_features(query, *labels[:2], gallery, *labels[2:]).mAP
    after = score_blocks(rerank_blocks(query, gallery), *labels).mAP
    assert after > before + 0.05


@pytest.mark.parametrize("unit", [1, 1e-25, 1e25])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_distances_give_what_features_give(metric, unit):
    """In any unit, also where float32 does not hold their squares."""
    (query, _), (gallery, _) = clusters(9, 110, 16, 8)
    pairs = (query, query), (query, gallery), (gallery, gallery)
    matrices = [unit * pairwise_distances(*pair, metric).double() for pair in pairs]
    result = rerank_from_distances(*matrices, squared=metric == "cosine")
    assert_equal(result, rerank_distances(query, gallery, metric=metric).numpy(), 1e-5)
    arrays = rerank_from_distances(*(matrix.numpy() for matrix in matrices), squared=metric == "cosine")
    assert torch.equal(arrays, result)


def test_features_in_arrays_give_what_tensors_give():
    (query, _), (gallery, _) = clusters(9, 110, 16, 8)
    expected = rerank_distances(query, gallery)
    assert torch.equal(rerank_distances(query.numpy(), gallery.numpy()), expected)
    assert torch.equal(torch.cat(list(rerank_blocks(query.numpy(), gallery.numpy()))), expected)


@pytest.mark.parametrize("unit", [1, 2**20])
def test_rounding_below_zero_counts_as_zero(unit):
    """Also of long features, where it is larger."""
    (query, _), (gallery, _) = clusters(3, 40, 8, 4)
    squares = unit * torch.from_numpy(squares_of(query, gallery))
    matrices = [squares[:3, :3].clone(), squares[:3, 3:], squares[3:, 3:].clone()]
    expected = rerank_from_distances(*matrices, squared=True)
    for matrix in matrices[::2]:
        matrix.fill_diagonal_(-1e-6 * unit)
    assert torch.equal(rerank_from_distances(*matrices, squared=True), expected)


def test_the_caller_keeps_its_tensors():
    (query, _), (gallery, _) = clusters(3, 40, 8, 4)
    tensors = [query, gallery, pairwise_distances(query, query), pairwise_distances(query, gallery)]
    tensors.append(pairwise_distances(gallery, gallery))
    copies = [tensor.clone() for tensor in tensors]
    rerank_distances(query, gallery)
    rerank_from_distances(*tensors[2:])
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(tensors, copies, strict=True))


@pytest.mark.parametrize("values", [{"k1": 0}, {"k2": 0}, {"weight": 1.1}, {"weight": -0.1}, {"lambda": 0.3}])
def test_unusable_parameters_are_refused(values):
    with pytest.raises(UserError, match=next(iter(values))):
        build_config(ReRanking, values, "rerank")
    if "lambda" not in values:
        with pytest.raises(ValidationError):
            ReRanking(**values)


@pytest.mark.parametrize(
    "query, gallery, metric, message",
    [
        (torch.zeros(2, 4), torch.zeros(3, 5), "cosine", "features must have shapes"),
        (torch.zeros(0, 4), torch.zeros(3, 4), "cosine", "query is empty"),
        (torch.zeros(2, 4), torch.zeros(0, 4), "cosine", "gallery is empty"),
        (torch.zeros(2, 0), torch.zeros(3, 0), "euclidean", "query is empty"),
        (torch.zeros(2, 4), torch.full((3, 4), float("inf")), "cosine", "gallery features contain NaN"),
        (torch.zeros(2, 4), torch.zeros(3, 4), "euclid", "nearest: euclidean"),
    ],
)
def test_unusable_features_are_named(query, gallery, metric, message):
    with pytest.raises(UserError, match=message):
        rerank_blocks(query, gallery, metric=metric)  # at the call, not at the first block


@pytest.mark.parametrize(
    "shapes, spoil, message",
    [
        (((2, 2), (2, 3), (3, 4)), None, r"gallery_gallery has shape \(3, 4\)"),
        (((3, 3), (2, 3), (3, 3)), None, r"query_query has shape \(3, 3\), but query_gallery requires \(2, 2\)"),
        (((0, 0), (0, 3), (3, 3)), None, "query_gallery must have shape"),
        (((2, 2), (2, 3), (3, 3)), float("nan"), "query_gallery contains NaN"),
        (((2, 2), (2, 3), (3, 3)), float("inf"), "query_gallery contains NaN"),
        (((2, 2), (2, 3), (3, 3)), float("-inf"), "query_gallery contains NaN"),
        (((2, 2), (2, 3), (3, 3)), -0.9, "query_gallery contains -0.9"),
    ],
)
def test_unusable_matrices_are_named(shapes, spoil, message):
    matrices = [torch.ones(shape) for shape in shapes]
    if spoil is not None:
        matrices[1][1, 2] = spoil
    with pytest.raises(UserError, match=message):
        rerank_from_distances(*matrices)

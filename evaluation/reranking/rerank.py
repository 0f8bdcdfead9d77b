"""Re-ranked distances from features or from distance matrices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from tqdm import tqdm

from evaluation.reranking.encoding import encode, relative
from evaluation.reranking.jaccard import jaccard_blocks
from evaluation.reranking.matrices import MatrixDistances, check_matrices
from evaluation.reranking.neighbours import nearest_neighbours
from evaluation.reranking.sources import Distances, FeatureDistances
from evaluation.retrieval.distances import Features, as_tensor, check_features
from reid.config import STRICT
from reid.errors import UserError
from reid.numbers import Count, Share


@dataclass(frozen=True, config=STRICT)
class ReRanking:
    """Parameters of k-reciprocal re-ranking; the paper's for Market-1501 by default.

    Attributes:
        k1: neighbours, the image itself not counted, within which two images must find each other.
        k2: nearest images, the image itself counted, whose encodings are averaged; 1 for none but its own.
        weight: the paper's lambda, the share of the original distance in the result; the rest is the Jaccard
            distance.
    """

    k1: Count = 20
    k2: Count = 6
    weight: Share = 0.3


def rerank_distances(
    query: Features,
    gallery: Features,
    config: ReRanking | None = None,
    metric: str = "cosine",
    progress: bool = False,
) -> torch.Tensor:
    """``(Q, G) float32`` re-ranked distances in 0..1, on the CPU, of ``(Q, D)`` to ``(G, D)`` features.

    Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017, as their MATLAB code
    ``re_ranking.m`` computes it: original distances are squared Euclidean ones, divided by the greatest of the query's
    distances to queries and gallery; equal distances go by the image's place, queries before gallery. Where there are
    no more than ``k1`` other images, all are neighbours. Where all images are equal, the original distance is 0.

    Args:
        query, gallery: features on one device, which computes the matrix products.
        config: ``ReRanking()``, the paper's parameters, when left out.
        metric: ``"cosine"`` brings features to length 1 first (the authors' script does), ``"euclidean"`` takes them
            as they are.
        progress: draw a progress bar.

    Raises:
        UserError: shapes or devices do not fit, a side is empty, a feature is NaN or infinite, or the metric is
            unknown.
    """
    blocks = rerank_blocks(query, gallery, config, metric, progress)
    return _fill(torch.empty(len(query), len(gallery)), blocks)


def rerank_blocks(
    query: Features,
    gallery: Features,
    config: ReRanking | None = None,
    metric: str = "cosine",
    progress: bool = False,
) -> Iterator[torch.Tensor]:
    """``rerank_distances`` for some queries after another: ``(B, G)`` blocks in the queries' order; B varies.

    The first block comes after all neighbours have been found, which is most of the time.

    Raises:
        UserError: as ``rerank_distances``, at the call.
    """
    query, gallery = check_features(query, gallery, metric)
    for name, features in (("query", query), ("gallery", gallery)):
        if not features.numel():
            raise UserError(f"the {name} is empty (shape {tuple(features.shape)}): there is nothing to re-rank")
    return _blocks(FeatureDistances(query, gallery, metric), config or ReRanking(), progress)


def rerank_from_distances(
    query_query: torch.Tensor | np.ndarray,
    query_gallery: torch.Tensor | np.ndarray,
    gallery_gallery: torch.Tensor | np.ndarray,
    config: ReRanking | None = None,
    squared: bool = False,
    progress: bool = False,
) -> torch.Tensor:
    """``(Q, G) float32`` re-ranked distances, on the CPU, from ``(Q, Q)``, ``(Q, G)`` and ``(G, G)`` distances.

    For distances that features do not give (parts, several networks). Otherwise ``rerank_distances`` is exact on
    duplicates and needs no ``(G, G)`` matrix.

    Args:
        squared: the matrices hold squared Euclidean distances, or cosine distances ``1 - cos`` (half the squared
            distance at length 1), and must not be squared again. ``pairwise_distances(..., "euclidean")`` is not
            squared; torchreid's ``compute_distance_matrix`` and fast-reid's ``build_dist`` are for either metric.

    Raises:
        UserError: shapes or devices do not fit, or a distance is NaN, infinite or negative.
    """
    named = {"query_query": query_query, "query_gallery": query_gallery, "gallery_gallery": gallery_gallery}
    given = [as_tensor(matrix, name) for name, matrix in named.items()]
    check_matrices(*given)
    matrices = [_as_array(matrix) for matrix in given]
    source = MatrixDistances(*matrices, squared)
    return _fill(torch.empty(given[1].shape), _blocks(source, config or ReRanking(), progress))


def _blocks(distances: Distances, config: ReRanking, progress: bool) -> Iterator[torch.Tensor]:
    queries = distances.queries
    with tqdm(total=distances.images + queries, desc="re-ranking", unit="image", disable=not progress) as bar:
        neighbours = nearest_neighbours(distances, max(config.k1 + 1, config.k2), bar.update)
        encodings = encode(distances, neighbours, config.k1, config.k2)
        start = 0
        for jaccard in jaccard_blocks(encodings[:queries], encodings[queries:].tocsc()):
            stop = start + len(jaccard)
            block = torch.from_numpy(jaccard).float().mul_(1 - config.weight)
            if config.weight:
                original = np.maximum(distances.rows(start, stop)[:, queries:], 0)
                # Divided as they are: a matrix may hold distances whose squares are 0 or infinite in float32.
                farthest = neighbours.farthest[start:stop, None].astype(original.dtype)
                block.add_(torch.from_numpy(relative(original, farthest)).float(), alpha=config.weight)
            bar.update(stop - start)
            yield block.clamp_(min=0)  # equal encodings leave a rounding error below 0
            start = stop


def _fill(result: torch.Tensor, blocks: Iterator[torch.Tensor]) -> torch.Tensor:
    start = 0
    for block in blocks:
        result[start : start + len(block)] = block
        start += len(block)
    return result


def _as_array(matrix: torch.Tensor) -> np.ndarray:
    matrix = matrix.detach().cpu()
    return (matrix.float() if matrix.dtype == torch.bfloat16 else matrix).numpy()

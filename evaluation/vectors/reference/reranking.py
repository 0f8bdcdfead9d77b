"""k-reciprocal re-ranking as plain loops over dense matrices, in the order of the authors' MATLAB code.

Zhong, Zheng, Cao and Li, "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017;
``evaluation/utils/re_ranking.m`` of zhunzhong07/person-re-ranking. ``docs/reranking.md`` has the definition in words.
"""

from __future__ import annotations

import math

import numpy as np


def rerank(squares: np.ndarray, queries: int, k1: int, k2: int, weight: float) -> np.ndarray:
    """Re-ranked ``(Q, G) float64`` distances from the ``(N, N)`` squared ones of ``queries`` queries and the gallery.

    ``weight`` is the paper's lambda.
    """
    images = len(squares)
    ranks = [sorted(range(images), key=lambda other, row=row: (row[other], other)) for row in squares]
    greatest = squares.max(axis=1, keepdims=True)
    relative = np.divide(squares, greatest, out=np.zeros_like(squares), where=greatest > 0)

    def reciprocal(image: int, size: int) -> set[int]:
        return {other for other in ranks[image][:size] if image in ranks[other][:size]}

    half = math.floor((k1 + 1) / 2 + 0.5)  # MATLAB's round
    halves = [reciprocal(image, half) for image in range(images)]
    vectors = np.zeros((images, images))
    for image in range(images):
        near = reciprocal(image, k1 + 1)
        members = set(near)
        for candidate in near:
            if len(halves[candidate] & near) > 2 / 3 * len(halves[candidate]):
                members |= halves[candidate]
        for other in members:
            vectors[image, other] = math.exp(-relative[image, other])
        if members:
            vectors[image] /= vectors[image].sum()
    if k2 != 1:  # the first of a duplicate's neighbours may be another image
        vectors = np.stack([vectors[row[:k2]].mean(axis=0) for row in ranks])

    result = np.empty((queries, images - queries))
    for image in range(queries):
        for other in range(queries, images):
            shared = np.minimum(vectors[image], vectors[other]).sum()
            distance = 1 - shared / (2 - shared)
            result[image, other - queries] = (1 - weight) * distance + weight * relative[image, other]
    return result

"""How implementations of k-reciprocal re-ranking differ, as scores on synthetic features.

    python benchmarks/reranking_variants.py

Each variant is the authors' definition with one thing done otherwise, as plain loops over dense float64 matrices;
docs/reranking.md says who does it. Fetches nothing and takes a minute or two.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import _root  # noqa: F401  (first: it mends the import path)
import numpy as np
import torch

from evaluation.reranking import ReRanking
from evaluation.retrieval.metrics import ReidScore, score_distances


@dataclass(frozen=True)
class Retrieval:
    """Features ``(Q, D)`` and ``(G, D)`` of length 1, and the labels that ``score_distances`` takes."""

    query: torch.Tensor
    gallery: torch.Tensor
    labels: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

    def score(self, distances: np.ndarray | torch.Tensor) -> ReidScore:
        return score_distances(distances, *self.labels)

    def squares(self) -> np.ndarray:
        """``(N, N) float64`` squared distances."""
        features = torch.cat([self.query, self.gallery]).double()
        return torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist").square_().numpy()


def synthetic_retrieval(queries: int, gallery: int, width: int = 256, seed: int = 0) -> Retrieval:
    """Persons as centres in 24 directions, each image off by its camera and by a spread of its own.

    The shares are Market-1501's: 4.5 queries and 17.5 gallery images a person, 6 cameras, 18 % distractors.
    """
    random = np.random.default_rng(seed)
    persons, directions = max(2, round(queries / 4.5)), 24
    strangers = round(0.18 * gallery)
    centres = random.normal(size=(persons + max(strangers, 1), directions))
    cameras = 0.5 * random.normal(size=(7, directions))
    embed = random.normal(size=(directions, width)) / directions**0.5
    sides = []
    for count, others in ((queries, 0), (gallery, strangers)):
        person = np.concatenate([np.arange(count - others) % persons, persons + np.arange(others)])
        camids = random.integers(1, 7, count)
        spread = random.uniform(0.3, 1.1, (count, 1))
        latent = centres[person] + cameras[camids] + spread * random.normal(size=(count, directions))
        features = latent @ embed + 0.3 * random.normal(size=(count, width))
        order = random.permutation(count)
        pids = np.where(person < persons, person + 1, 0)
        features = torch.nn.functional.normalize(torch.from_numpy(features[order])).float()
        sides.append((features, pids[order], camids[order]))
    (query, *query_labels), (others, *gallery_labels) = sides
    return Retrieval(query, others, (*query_labels, *gallery_labels))


@dataclass(frozen=True)
class Variant:
    """What is done otherwise than in the authors' MATLAB code.

    Attributes:
        power: of the squared distances: 0.5 leaves distances plain, 2 squares them twice.
        numpy_half: the half set has ``around(k1 / 2) + 1`` images, which rounds half to even.
        share: of a candidate's set that must be near; 0 is Python 2's ``2 / 3``.
        neighbours: added to k1 for the length of the lists; the authors' 1 makes room for the image itself.
        normalised: distances are divided by the row maximum.
        blended: what the original distances are multiplied by before they are blended.
        dtype: of features, distances and encodings.
        latest: equal distances go the other way round.
        global_maximum: distances are divided by the greatest of all instead of the row's.
    """

    power: float = 1
    numpy_half: bool = False
    share: float = 2 / 3
    neighbours: int = 1
    normalised: bool = True
    blended: float = 1
    dtype: type = np.float64
    latest: bool = False
    global_maximum: bool = False


def plain_reranking(squares: np.ndarray, queries: int, config: ReRanking, variant: Variant | None = None) -> np.ndarray:
    """``(Q, G) float64`` re-ranked distances from ``(N, N)`` squared ones, as the paper's steps one after another."""
    variant = variant or Variant()
    squares = (squares**variant.power).astype(variant.dtype).astype(np.float64)
    greatest = squares.max() if variant.global_maximum else squares.max(axis=1, keepdims=True)
    relative = squares / greatest if variant.normalised else squares
    length = config.k1 + variant.neighbours
    half = round(config.k1 / 2) + 1 if variant.numpy_half else (config.k1 + 2) // 2
    if variant.latest:
        ranks = len(squares) - 1 - np.argsort(squares[:, ::-1], axis=1, kind="stable")
    else:
        ranks = np.argsort(squares, axis=1, kind="stable")
    ranks = ranks[:, : max(length, config.k2)]

    near, small = _reciprocal(ranks[:, :length]), _reciprocal(ranks[:, : min(half, length)])
    vectors = np.zeros(squares.shape)
    for image, members in enumerate(near):
        grown = members.union(*(small[m] for m in members if len(small[m] & members) > variant.share * len(small[m])))
        index = sorted(grown)
        weights = np.exp(-relative[image, index])
        vectors[image, index] = weights / weights.sum()
    vectors = vectors.astype(variant.dtype).astype(np.float64)
    if config.k2 != 1:
        vectors = np.stack([vectors[row[: config.k2]].mean(axis=0) for row in ranks])

    result = np.empty((queries, len(squares) - queries))
    for image in range(queries):
        index = np.flatnonzero(vectors[image])
        shared = np.minimum(vectors[image, index], vectors[queries:, index]).sum(axis=1)
        original = variant.blended * relative[image, queries:]
        result[image] = (1 - config.weight) * (1 - shared / (2 - shared)) + config.weight * original
    return result


def _reciprocal(ranks: np.ndarray) -> list[set[int]]:
    lists = [set(row) for row in ranks.tolist()]
    return [{other for other in lists[image] if image in lists[other]} for image in range(len(lists))]


VARIANTS = {
    "distances not squared": Variant(power=0.5),
    "distances squared twice": Variant(power=2),
    "Python 2's 2 / 3 = 0 in the expansion": Variant(share=0),
    "half set by numpy's rounding": Variant(numpy_half=True),
    "float16 distances and encodings": Variant(dtype=np.float16),
    "float16, equal distances the other way round": Variant(dtype=np.float16, latest=True),
    "lists of k1, the image itself counted": Variant(neighbours=0),
    "no row maximum": Variant(normalised=False),
    "lists of k1, no row maximum, 1 - cos blended": Variant(neighbours=0, normalised=False, blended=0.5),
    "greatest of all for the row maximum": Variant(global_maximum=True),
    "equal distances the other way round": Variant(latest=True),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=400, help="(default: 400)")
    parser.add_argument("--gallery", type=int, default=1900, help="(default: 1900)")
    parser.add_argument("--k1", type=int, default=20, help="(default: 20)")
    parser.add_argument("--seeds", type=int, default=3, help="synthetic sets, of which means are taken (default: 3)")
    options = parser.parse_args(arguments)
    config = replace(ReRanking(), k1=options.k1)

    originals, maps = [], {name: [] for name in ("authors", *VARIANTS)}
    largest = dict.fromkeys(maps, 0.0)
    for seed in range(options.seeds):
        retrieval = synthetic_retrieval(options.queries, options.gallery, seed=seed)
        squares = retrieval.squares()
        originals.append(retrieval.score(squares[: options.queries, options.queries :]).mAP)
        authors = plain_reranking(squares, options.queries, config)
        for name in maps:
            result = plain_reranking(squares, options.queries, config, VARIANTS.get(name))
            maps[name].append(retrieval.score(result).mAP)
            largest[name] = max(largest[name], float(np.abs(result - authors).max()))
    base = np.mean(maps["authors"])
    print(f"{options.queries} x {options.gallery}, {config}, {options.seeds} sets; mAP before {np.mean(originals):.2%}")
    print("| variant | mAP % | difference | largest difference of a distance |\n| --- | ---: | ---: | ---: |")
    for name, values in maps.items():
        gain = 100 * (np.mean(values) - base)
        print(f"| {name} | {100 * np.mean(values):.2f} | {gain:+.2f} | {largest[name]:.3f} |")


if __name__ == "__main__":
    main()

"""The inputs of the cases, drawn from a generator whose numbers are the same on every platform."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from evaluation.reranking import ReRanking
from evaluation.retrieval.rules import CUHK03, MARKET1501, MSMT17, NO_CAMERAS, MatchRule
from evaluation.vectors.case import Case, Side
from evaluation.vectors.reference.distances import squared_rows

WIDTH = 6

STEP = 64
"""Features are multiples of ``1 / STEP``: exact in float32, and so are their Euclidean distances squared."""

GAP = 2e-6
"""Least difference of squared distances in a case without ties, so that float32 gives the same order."""

RERANKINGS = [ReRanking(), ReRanking(7, 3, 0.0), ReRanking(5, 1, 0.5), ReRanking(4, 12, 0.3), ReRanking(100, 60, 1.0)]
"""In order: the paper's parameters; a k1 for which programs round the half set differently, with the Jaccard distance
alone; no query expansion; a wide one; more neighbours than images, with the original distance alone."""

Label = tuple[int, int]
"""Identity and camera."""


def make_inputs() -> Iterator[Case]:
    """All cases, ``expected`` still empty."""
    apart = [(pid, camera) for pid in range(1, 9) for camera in (2, 3)] * 2
    near = [(pid, camera) for pid in range(1, 9) for camera in (1, 2, 3)]
    queries = [(pid, 1) for pid in range(1, 9)]
    for number, metric in enumerate(("cosine", "euclidean")):
        yield _case(
            f"plain-{metric}",
            "every gallery image counts for every query; no equal distances",
            *(queries, apart, number),
            metric=metric,
            reranking=RERANKINGS,
        )
    yield _case(
        "ties",
        "many equal distances, which keep the gallery's order (a stable sort); re-ranking has queries before gallery",
        *(queries, apart, 2),
        metric="euclidean",
        reranking=RERANKINGS[1:4],
        ties=True,
    )
    yield _case(
        "same-camera",
        "images of the query's identity from its own camera are passed over and take no rank",
        *(queries, near + near, 3),
    )
    yield _case(
        "same-camera-only",
        "some queries' only right answers are of their own camera: left out of every mean, and counted as skipped",
        *(queries, [label for label in near if label[0] < 6 or label[1] == 1], 4),
    )
    yield _case(
        "no-right-answer",
        "some queries' identities are not in the gallery: left out of every mean, but they make impostor pairs",
        *([*queries, (9, 1), (10, 2)], apart, 5),
        metric="euclidean",
    )
    yield _case(
        "junk",
        "identity -1 is no part of the gallery; re-ranking does not see it, and its distances have no column for it",
        *(queries, [*apart, *((-1, 1 + number % 3) for number in range(12))], 6),
        reranking=RERANKINGS[:2],
    )
    yield _case(
        "distractors",
        "identity 0 is wrong for every query, and a query of it is not counted and makes no pairs",
        *([*queries, (0, 1)], [*apart, *((0, 1 + number % 3) for number in range(12))], 7),
    )
    yield _case(
        "persons-from-0",
        "persons are numbered from 0, as in MSMT17's lists: the rule has neither junk nor distractors",
        *([(pid - 1, camera) for pid, camera in queries], [(pid - 1, camera) for pid, camera in near], 8),
        rule=MSMT17,
    )
    yield _case(
        "no-cameras",
        "cameras are not known: nothing is passed over",
        *(queries, near, 9),
        rule=NO_CAMERAS,
        metric="euclidean",
    )
    yield _case(
        "leave-one-out",
        "query and gallery are the same images: each query's own image is passed over, by its id",
        *(near, near, 10),
        rule=NO_CAMERAS,
        same_images=True,
    )
    few = [(pid, camera) for pid in range(1, 7) for camera in (1, 2, 2)]
    yield _case(
        "single-gallery-shot",
        "classic CUHK03: the expected CMC with one gallery image of each person, over all draws; equal distances",
        *([*queries[:6], (7, 1)], few, 11),
        rule=CUHK03,
        metric="euclidean",
        ties=True,
        single_gallery_shot=True,
    )


def _case(
    name: str,
    about: str,
    query: Sequence[Label],
    gallery: Sequence[Label],
    seed: int,
    *,
    metric: str = "cosine",
    rule: MatchRule = MARKET1501,
    reranking: Sequence[ReRanking] = (),
    ties: bool = False,
    same_images: bool = False,
    single_gallery_shot: bool = False,
) -> Case:
    random = Random(seed)
    while True:
        order = sorted(gallery, key=lambda _: random.random())
        labels = order if same_images else [*query, *order]
        points = _points(random, labels, *((2, 1) if ties else (WIDTH, STEP)))
        if ties or _gap(points, metric) > GAP:
            break
    sides = (labels, labels) if same_images else (labels[: len(query)], labels[len(query) :])
    rows = (points, points) if same_images else (points[: len(query)], points[len(query) :])
    made = [
        Side(
            [list(row) for row in of],
            [pid for pid, _ in side],
            [camera for _, camera in side] if rule.same_camera_is_junk else None,
            [f"image-{number}" for number in range(len(side))] if same_images else None,
        )
        for side, of in zip(sides, rows, strict=True)
    ]
    named = {f"k1={of.k1},k2={of.k2},lambda={of.weight:g}": of for of in reranking}
    return Case(name, about, metric, rule, *made, ["0.3", "0.1", "0.03"], "0.05", named, single_gallery_shot, {})


def _points(random: Random, labels: Sequence[Label], width: int, step: int) -> list[list[float]]:
    """Features around a centre for each identity, junk and distractors around another's."""
    centres: dict[int, list[float]] = {}
    points = []
    for pid, _ in labels:
        person = pid if pid > 0 else 1 + int(8 * random.random())
        centre = centres.setdefault(person, [4 * random.random() - 2 for _ in range(width)])
        noise = [2.4 * (random.random() + random.random() - 1) for _ in range(width)]
        points.append([round(step * (a + b)) / step for a, b in zip(centre, noise, strict=True)])
    return points


def _gap(points: Sequence[Sequence[float]], metric: str) -> float:
    """The least difference of two squared distances."""
    rows = squared_rows(points, metric)
    values = sorted(value for number, row in enumerate(rows) for value in row[:number])
    return min(later - earlier for earlier, later in zip(values, values[1:], strict=False))

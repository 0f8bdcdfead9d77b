"""An embedder as the appearance model of a tracker: two persons who cross keep who they are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from evaluation.embedder import Embedder
from reid.data.synthetic import render_person
from supernet.trained.zoo import zoo_entries

HEIGHT, WIDTH = 128, 64
FAR = 1e3


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """``(N, M)`` intersections over unions."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(each[:, 2:] - each[:, :2]).prod(axis=1) for each in (boxes, others)]
    return both / (areas[0][:, None] + areas[1][None] - both)


class Tracker:
    """The least of a tracker: boxes go to last boxes that they overlap with; to those of the largest overlap, or with
    an appearance model to those of the largest cosine to a mean of what the track has looked like."""

    def __init__(self, model: Embedder | None) -> None:
        self.model = model
        self.boxes, self.looks = np.zeros((0, 4)), None

    def update(self, boxes: np.ndarray, frame: np.ndarray) -> list[int]:
        """The boxes' tracks."""
        looks = self.model.get_features(boxes, frame) if self.model else np.zeros((len(boxes), 1))
        if self.looks is None:
            self.boxes, self.looks = boxes.copy(), looks
            return list(range(len(boxes)))
        near = overlaps(boxes, self.boxes)
        cost = 1 - looks @ self.looks.T if self.model else 1 - near
        rows, tracks = linear_sum_assignment(np.where(near > 0, cost, FAR))
        for row, track in zip(rows, tracks, strict=True):
            self.boxes[track] = boxes[row]
            mean = 0.8 * self.looks[track] + 0.2 * looks[row]
            self.looks[track] = mean / max(np.linalg.norm(mean), 1e-12)
        return tracks[np.argsort(rows)].tolist()


def crossing(seed: int, persons: tuple[int, int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Frames, BGR, and the boxes ``(2, 4)`` of two persons who walk past each other; while they hide each other, the
    detector finds nobody. Box 0 is always the first person's."""
    found = []
    for shot, step in enumerate([0, 1, 2, 3, 8, 9, 10, 11]):
        frame = np.full((160, 220, 3), 90, np.uint8)
        lefts = (20 + 10 * step, 20 + 10 * (11 - step))
        for person, left in zip(persons, lefts, strict=True):
            frame[16 : 16 + HEIGHT, left : left + WIDTH] = render_person(seed, person, 1, shot, (HEIGHT, WIDTH))
        boxes = np.array([[left, 16, left + WIDTH, 16 + HEIGHT] for left in lefts], float)
        found.append((np.ascontiguousarray(frame[:, :, ::-1]), boxes))
    return found


@pytest.fixture(scope="module")
def model() -> Embedder:
    """The smallest network of the zoo. It has never seen a synthetic person."""
    return Embedder.open(min(zoo_entries(), key=lambda entry: entry.parameters).name)


@pytest.mark.parametrize("persons", [(1, 8), (20, 33)])
def test_who_crosses_stays_who_he_is(model, persons):
    frames = crossing(7, persons)
    by_place, by_looks = Tracker(None), Tracker(model)
    places = [by_place.update(boxes, frame) for frame, boxes in frames]
    looks = [by_looks.update(boxes, frame) for frame, boxes in frames]
    assert places == [[0, 1]] * 4 + [[1, 0]] * 4, "by overlap alone they are mixed up"
    assert looks == [[0, 1]] * 8

"""Embeddings of digits by a network that was trained on others of them."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.features.learnt_digits import each_by_the_others, learn_digits
from evaluation.features.vector_files import LabelledVectors, label_vectors


def _bars(side: int, count: int = 180) -> LabelledVectors:
    """Three digits: a bar across, down or aslant, anywhere in the image, so that pixels hardly tell them apart."""
    draw = np.random.default_rng(0)
    labels = np.arange(count) % 3
    images = np.zeros((count, side, side))
    width = side // 8
    for image, label in zip(images, labels, strict=True):
        at = draw.integers(side - width)
        if label == 0:
            image[at : at + width] = 1
        elif label == 1:
            image[:, at : at + width] = 1
        else:
            for row in range(side):
                image[row, np.arange(row + at, row + at + width) % side] = 1
    return label_vectors(images.reshape(count, -1) + 0.1 * draw.random((count, side * side)), labels, word="digit")


@pytest.mark.parametrize("side", [8, 28])
def test_embeddings_tell_digits_apart_that_were_not_learnt(side):
    given = _bars(side)
    found = learn_digits(given, seed=0, steps=40)
    assert found.learnt == 90 and found.embeddings.vectors.shape == (90, 32)
    before, after = each_by_the_others(found.pixels, "euclidean"), each_by_the_others(found.embeddings, "cosine")
    assert before < 0.4 and after > 0.9
    # Who is shown is as given, and none of the learnt.
    np.testing.assert_array_equal(found.embeddings.labels, found.pixels.labels)
    places = [int(np.flatnonzero((given.vectors == row).all(axis=1))[0]) for row in found.pixels.vectors]
    assert len(set(places)) == 90
    np.testing.assert_array_equal(given.labels[places], found.pixels.labels)


def test_the_seed_decides_all_of_it():
    given = _bars(8)
    first, again, other = (learn_digits(given, seed, steps=2) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.embeddings.vectors, again.embeddings.vectors)
    np.testing.assert_array_equal(first.pixels.labels, again.pixels.labels)
    assert not np.array_equal(first.pixels.vectors, other.pixels.vectors)


def test_no_digit_is_its_own_answer():
    """Alone with its like at the far end, and 0 is a digit like the others."""
    line = np.array([[0.0, 0], [1, 0], [10, 0], [11, 0]])
    assert each_by_the_others(label_vectors(line, np.array([0, 0, 1, 1])), "euclidean") == 1
    assert each_by_the_others(label_vectors(line, np.array([0, 1, 1, 0])), "euclidean") == pytest.approx(5 / 12)

"""Classifiers against their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from reid.models.classifiers import Classifier, CosineClassifier, classifiers_of
from reid.models.heads import HeadConfig, PartsConfig, SpectralConfig, build_head


def test_linear_classifier_is_a_product(maps):
    vectors = maps.mean((2, 3))
    classifier = Classifier(6, 9)
    torch.testing.assert_close(classifier(vectors), vectors @ classifier.weight.T)


def test_cosines_by_loop():
    vectors = torch.randn(4, 5, dtype=torch.float64) * 3
    classifier = CosineClassifier(5, 7).double()
    classifier.weight.data.mul_(torch.rand(7, 1) + 0.5)
    cosines = classifier(vectors).detach()
    for i, vector in enumerate(vectors.tolist()):
        for j, weight in enumerate(classifier.weight.tolist()):
            product = sum(a * b for a, b in zip(vector, weight, strict=True))
            assert math.isclose(float(cosines[i, j]), product / (math.hypot(*vector) * math.hypot(*weight)))


def test_cosines_know_no_length():
    vectors, classifier = torch.randn(4, 5), CosineClassifier(5, 7)
    cosines = classifier(vectors).detach()
    torch.testing.assert_close(classifier.weight.norm(dim=1), torch.ones(7))
    torch.testing.assert_close(classifier(1000 * vectors), cosines)
    classifier.weight.data.mul_(0.01)
    torch.testing.assert_close(classifier(vectors), cosines)
    assert float(cosines.abs().max()) <= 1 + 1e-6


def test_cosines_are_float32_under_autocast():
    vectors, classifier = torch.randn(4, 64).bfloat16(), CosineClassifier(64, 7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cosines = classifier(vectors)
    assert cosines.dtype == torch.float32
    torch.testing.assert_close(cosines, classifier(vectors.float()))


@pytest.mark.parametrize(
    ("config", "dims"),
    [
        (HeadConfig(), [8]),
        (HeadConfig(embedding=6, spectral=SpectralConfig()), [6]),
        (HeadConfig(parts=PartsConfig(stripes=2, embedding=3)), [8, 3, 3]),
        (HeadConfig(parts=PartsConfig(stripes=3, embedding=3, global_branch=False)), [3, 3, 3]),
        (HeadConfig(embedding=6, spectral=SpectralConfig(), parts=PartsConfig(stripes=2, embedding=3)), [6, 3, 3]),
    ],
    ids=["plain", "spectral shares one", "PCB and global", "PCB", "PCB and spectral"],
)
@pytest.mark.parametrize("make", [Classifier, CosineClassifier])
def test_a_classifier_for_each_part(config, dims, make):
    head = build_head(config, 8).train()
    classifiers = classifiers_of(head, 7, make)
    assert [tuple(each.weight.shape) for each in classifiers] == [(7, dim) for dim in dims]
    parts = head(torch.randn(4, 8, 6, 2)).parts
    logits = [classifiers[i](part) for i, part in zip(head.part_classifiers, parts, strict=True)]
    assert all(each.shape == (4, 7) for each in logits) and isinstance(classifiers, nn.ModuleList)

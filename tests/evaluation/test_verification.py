"""The ROC against scikit-learn and against a plain loop over all pairs."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, roc_curve

import evaluation.verification
from evaluation.retrieval.distances import distance_blocks
from evaluation.retrieval.labeled_features import LabeledFeatures, RetrievalFeatures
from evaluation.retrieval.rules import MARKET1501, NO_CAMERAS, RECORDS
from evaluation.threshold import apply_threshold, calibrate_threshold, halve_identities
from evaluation.vectors.reference.pairs import split_pairs
from evaluation.vectors.reference.retrieval import Labels
from evaluation.verification import receiver_curve, verification_score
from reid.errors import UserError


def random_features(seed: int, rule=MARKET1501, persons: int = 5, levels: int = 3) -> RetrievalFeatures:
    """Few whole numbers as features, so that many distances are equal; junk, distractors and lone cameras occur."""
    random = np.random.default_rng(seed)
    sides = []
    for count, lowest in ((12, 0), (40, -1)):
        values = torch.from_numpy(random.integers(1, levels + 1, (count, 3)).astype(np.float32))
        pids = torch.from_numpy(random.integers(lowest, persons, count))
        sides.append(LabeledFeatures(values, pids, torch.from_numpy(random.integers(0, 3, count))))
    return RetrievalFeatures(*sides, rule)


def loop(features: RetrievalFeatures, metric: str, block: int = 512) -> tuple[list[float], list[float]]:
    """Distances of genuine and of impostor pairs, pair by pair. Equal features are at equal distances only where
    ``block`` is the same: a product of another shape rounds differently."""
    query, rule = features.query, features.rule
    kept = ~np.isin(query.pids.numpy(), (*rule.junk_pids, *rule.distractor_pids))
    query = query.select(torch.from_numpy(kept))
    gallery = features.gallery.select(torch.from_numpy(~np.isin(features.gallery.pids.numpy(), rule.junk_pids)))
    distances = torch.cat(list(distance_blocks(query.features, gallery.features, metric, block))).numpy()
    labels = (side for of in (query, gallery) for side in (of.pids.tolist(), of.camids.tolist()))
    return split_pairs(distances, Labels(*labels), rule)


@pytest.mark.parametrize("rule", [MARKET1501, RECORDS, NO_CAMERAS], ids=["market", "records", "no cameras"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("block", [1, 512])
def test_curve_is_scikit_learns(monkeypatch, rule, metric, block):
    monkeypatch.setattr(evaluation.verification, "_BLOCK", 1 if block == 1 else 1 << 22)
    for seed in range(8):
        features = random_features(seed, rule)
        genuine, impostors = loop(features, metric, block)
        truth = [1] * len(genuine) + [0] * len(impostors)
        fmr, tpr, _ = roc_curve(truth, -np.array(genuine + impostors), drop_intermediate=False)
        roc = receiver_curve(features, metric)
        assert (roc.genuine, roc.impostors) == (len(genuine), len(impostors))
        ours = roc.points()
        grid = np.linspace(0, 1, 1001)[1:-1] + 1e-7  # beside the steps
        np.testing.assert_allclose(np.interp(grid, *ours), np.interp(grid, fmr, tpr), atol=1e-9)
        assert roc.area() == pytest.approx(auc(fmr, tpr), abs=1e-12)
        for rate in (0, 0.01, 0.1, 0.33, fmr[len(fmr) // 2], 1):
            assert roc.tpr_at(rate) == pytest.approx(tpr[fmr <= rate].max(), abs=1e-12)
        # Walk scikit-learn's curve in small steps to where misses and false matches are nearest.
        steps = np.linspace(0, len(fmr) - 1, 200 * len(fmr))
        x, y = (np.interp(steps, np.arange(len(fmr)), values) for values in (fmr, tpr))
        assert roc.equal_error_rate() == pytest.approx(x[np.abs(x + y - 1).argmin()], abs=2e-3)


def test_figures_worked_out_by_hand():
    """On a line: genuine at 1, 2, 4; impostors at 2, 3, 5, 6."""
    query = LabeledFeatures(torch.zeros(1, 1), torch.tensor([1]), torch.tensor([1]))
    gallery = LabeledFeatures(
        torch.tensor([1.0, 2, 4, 2, 3, 5, 6])[:, None],
        torch.tensor([1, 1, 1, 2, 2, 3, 0]),
        torch.tensor([2, 2, 3, 1, 1, 1, 1]),
    )
    roc = receiver_curve(RetrievalFeatures(query, gallery, MARKET1501), "euclidean")
    assert roc.distances.tolist() == [1, 2, 4]
    # Of 4 impostors 1 is nearer than all, 2 than three and as near as one, 4 than two.
    assert roc.area() == pytest.approx((4 + 3.5 + 2) / 12)
    assert [roc.tpr_at(rate) for rate in (0, 0.25, 0.5, 1)] == pytest.approx([1 / 3, 2 / 3, 1, 1])
    # From (1/4, 2/3) the curve runs level to (1/2, 2/3): misses and false matches are 1/3 on the way.
    assert roc.equal_error_rate() == pytest.approx(1 / 3)
    # From one impostor pair of four to all, in equal ratios.
    assert roc.sampled(3) == {"fmr": pytest.approx([0.25, 0.5, 1]), "tpr": pytest.approx([2 / 3, 1, 1])}
    score = verification_score(roc, rates=(0.5, 0.25, 0.2))
    assert score.tpr_at_fmr == pytest.approx({0.5: 1, 0.25: 2 / 3}), "0.2 of four pairs is not one"
    assert score.as_dict()["tpr_at_fmr"] == pytest.approx({"0.5": 1, "0.25": 2 / 3})


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.002, 0.95), st.sampled_from(["cosine", "euclidean"]))
@example(9201, 0.9499999999999998, "cosine")
def test_threshold_is_the_greatest_that_keeps_the_rate(seed, rate, metric):
    features = random_features(seed, RECORDS)
    genuine, impostors = (np.sort(np.array(values, dtype=np.float32)) for values in loop(features, metric))
    if rate * len(impostors) < 1:
        with pytest.raises(UserError, match="cannot be measured on"):
            calibrate_threshold(features, rate, metric)
        return
    threshold = calibrate_threshold(features, rate, metric)
    distance = np.float32(threshold.distance)
    # A rate a rounding below k / n is k / n, as 0.29 * 100 is 29.
    assert threshold.fmr == (impostors <= distance).mean() <= rate * (1 + 1e-12)
    assert threshold.tpr == (genuine <= distance).mean()
    assert (impostors <= np.nextafter(distance, np.float32(np.inf))).mean() > rate
    rates = apply_threshold(features, threshold)
    assert (rates.fmr, rates.tpr) == (threshold.fmr, threshold.tpr)
    assert (rates.genuine, rates.impostors) == (len(genuine), len(impostors))


@pytest.mark.parametrize("impostors", [1, 2, 3, 7, 9, 10, 14, 66, 70, 99, 100, 333, 1000, 1001])
def test_the_rate_that_is_proposed_works(impostors):
    random = torch.Generator().manual_seed(0)
    query = LabeledFeatures(torch.ones(1, 4), torch.tensor([1]), torch.tensor([1]))
    values = torch.randn(impostors + 1, 4, generator=random)
    pids = torch.tensor([1] + [2] * impostors)
    features = RetrievalFeatures(query, LabeledFeatures(values, pids, torch.full_like(pids, 2)), RECORDS)
    with pytest.raises(UserError, match="pairs; (give --fmr .* or more, or )?use more held-out identities") as error:
        calibrate_threshold(features, 1e-6)
    found = re.search(r"--fmr ([0-9.e-]+) or more,", str(error.value))
    assert bool(found) == (impostors > 1)  # of one pair no share but all can be told
    if found:
        rate = float(found[1])
        threshold = calibrate_threshold(features, rate)
        assert 0 < threshold.fmr <= rate < 2.1 / impostors + 1e-9


def test_threshold_means_the_same_on_new_persons():
    """Identities of one distribution: the rate asked for is met on others within chance."""
    random = torch.Generator().manual_seed(0)

    def persons(first: int) -> RetrievalFeatures:
        centers = torch.randn(80, 16, generator=random)
        sides = []
        for camera in (1, 2):
            pids = torch.arange(80).repeat(3)
            values = centers[pids] + 0.5 * torch.randn(240, 16, generator=random)
            sides.append(LabeledFeatures(values, pids + first, torch.full((240,), camera)))
        return RetrievalFeatures(*sides, RECORDS)

    threshold = calibrate_threshold(persons(1), 0.01)
    rates = apply_threshold(persons(1001), threshold)
    assert rates.fmr == pytest.approx(0.01, rel=0.3)
    assert rates.tpr == pytest.approx(threshold.tpr, abs=0.05) and rates.tpr > 0.5


def test_halves_share_no_person_and_lose_none():
    features = random_features(3, persons=9)
    halves = halve_identities(features)
    asked = [set(half.query.pids.tolist()) - {0} for half in halves]
    assert asked[0] and asked[1] and not asked[0] & asked[1]
    assert asked[0] | asked[1] == set(features.query.pids.tolist()) - {0}
    assert not set(halves[0].gallery.pids.tolist()) & (asked[1] | {0, -1})
    for side in ("query", "gallery"):
        assert sum(len(getattr(half, side)) for half in halves) == len(getattr(features, side))


def test_nothing_to_verify():
    one = LabeledFeatures(torch.ones(2, 3), torch.tensor([1, 1]), torch.tensor([1, 2]))
    other = LabeledFeatures(torch.ones(2, 3), torch.tensor([2, 3]), torch.tensor([1, 2]))
    with pytest.raises(UserError, match="show two different persons"):
        receiver_curve(RetrievalFeatures(one, one, RECORDS))
    with pytest.raises(UserError, match="no query has a right answer"):
        receiver_curve(RetrievalFeatures(one, other, RECORDS))
    with pytest.raises(UserError, match="between 0 and 1"):
        calibrate_threshold(RetrievalFeatures(one, other, RECORDS), 1.5)

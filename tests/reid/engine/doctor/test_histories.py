"""The rules on written histories: what each trouble looks like in ``metrics.jsonl``, and what is close but sound."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from reid.engine.doctor import Severity, Trouble, examine, news
from tests.reid.engine.doctor.histories import FACTS, history, sound

LOGS = Path(__file__).parents[4] / "docs" / "results" / "market1501-cpu"


def only(records, facts=FACTS):
    found = examine(records, facts)
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("epochs", [0, 1, 2, 5, 30])
def test_a_sound_history_is_silent(epochs):
    assert examine(history(epochs), FACTS) == ()


@pytest.mark.parametrize("key", sorted(set(sound(1)) - {"epoch"}))
def test_a_missing_key_is_not_judged(key):
    records = [{name: value for name, value in record.items() if name != key} for record in history(30)]
    assert examine(records, FACTS) == ()


def test_records_of_epochs_alone_are_not_judged():
    assert examine([{"epoch": epoch, "peak_memory_mib": None} for epoch in range(1, 31)], FACTS) == ()


COLLAPSED = {
    "embedding_spread": 0.001,
    "loss_triplet": 0.31,
    "active_triplets": 1.0,
    "distance_gap": -0.01,
    "distance_positive": 0.02,
    "distance_negative": 0.01,
}


def test_collapse():
    found = only(history(20, since=4, **COLLAPSED))
    assert (found.trouble, found.since, found.until) == (Trouble.COLLAPSE, 4, None)
    assert "spread 0.0010" in found.evidence and "losses.triplet.selection: semi_hard" in found.cure


def test_collapse_is_seen_by_distances_where_there_is_no_spread():
    records = history(20, since=4, **COLLAPSED)
    for record in records:
        del record["embedding_spread"]
    assert only(records).trouble is Trouble.COLLAPSE


def test_collapse_of_normalised_features_is_not_measured_by_their_norm():
    normalised = replace(FACTS, normalize=True)
    far = {"loss_triplet": 0.31, "distance_positive": 0.05, "distance_negative": 0.04, "distance_gap": -0.01}
    records = history(20, since=18, **far)
    for record in records:
        del record["embedding_spread"]
    # 0.05 is little beside a norm of 15 and much beside 1.
    assert only(records).trouble is Trouble.COLLAPSE
    assert examine(records, normalised) == ()


def test_a_small_spread_with_triplets_apart_is_no_collapse():
    """Features far from the origin, close together beside that, and yet apart by more than the margin."""
    assert examine(history(30, embedding_spread=0.002, loss_triplet=lambda epoch: 0.2 * 0.9**epoch), FACTS) == ()


STUCK = {"loss_triplet": 0.305, "active_triplets": 1.0, "distance_gap": -0.005}


def test_stuck_at_the_margin():
    found = only(history(20, since=4, **STUCK))
    assert (found.trouble, found.since, found.severity) == (Trouble.STUCK_AT_MARGIN, 4, Severity.WARNING)
    assert found.evidence == "triplet loss 0.305 of margin 0.300, gap -0.005, 100 % of the triplets active"


def test_stuck_at_the_soft_margin():
    soft = replace(FACTS, margin=None)
    records = history(20, since=4, loss_triplet=math.log(2), distance_gap=0.0)
    assert only(records, soft).trouble is Trouble.STUCK_AT_MARGIN
    assert "log 2" in only(records, soft).evidence


@pytest.mark.parametrize(
    "values",
    [
        STUCK | {"distance_gap": lambda epoch: -0.02 + 0.003 * epoch},  # slow, but it grows
        STUCK | {"active_triplets": 0.3},  # a mean over the few active triplets stays near the margin
    ],
)
def test_near_the_margin_is_not_stuck(values):
    assert examine(history(10, since=4, **values), FACTS) == ()


def test_no_triplet_cannot_be_stuck():
    assert examine(history(20, since=4, **STUCK), replace(FACTS, triplet_weight=0.0)) == ()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_divergence_to_no_number(bad):
    found = only(history(8, since=7, loss=bad))
    assert (found.trouble, found.since, found.severity) == (Trouble.DIVERGENCE, 7, Severity.CRITICAL)


def test_divergence_far_above_guessing_and_gone():
    found = only(history(20, since=2, until=4, loss_ce=8.0, loss=9.0))
    assert (found.trouble, found.since, found.until, found.gone) == (Trouble.DIVERGENCE, 2, 4, True)
    assert "guessing among 200 costs 5.3" in found.evidence


def test_divergence_by_a_loss_that_rises():
    found = only(history(20, since=15, loss=lambda epoch: float(epoch)))
    assert (found.trouble, found.since, found.severity) == (Trouble.DIVERGENCE, 15, Severity.CRITICAL)


def test_scaled_logits_are_not_compared_with_guessing():
    assert examine(history(20, loss_ce=12.0, loss=13.0), replace(FACTS, plain_softmax=False)) == ()


def test_taken_back_for_the_rest_of_the_training():
    """What follows is trained at another rate than the recipe's; the record of the first epoch after it says so."""
    back = [{"epoch": 5, "to": 3, "seen": "the loss is not finite", "rate": 0.5}]
    records = history(8)
    records[3] = records[3] | {"rolled_back": back}
    (found,) = examine(records, FACTS)
    assert (found.trouble, found.severity, found.since, found.until) == (Trouble.TAKEN_BACK, Severity.WARNING, 4, None)
    assert found.evidence == "taken back once, at 0.5 times the rate since; the loss is not finite in epoch 5"
    records[6] = records[6] | {"rolled_back": [back[0] | {"epoch": 7, "to": 6, "rate": 0.125}]}
    (again,) = examine(records, FACTS)
    assert again.since == 4 and again.evidence.startswith("taken back 2 times, at 0.125 times")
    assert news(records[:4], FACTS) and news(records[:5], FACTS) == ()


def test_exploding_gradients():
    found = only(history(20, since=12, until=12, gradient_norm=500.0))
    assert (found.trouble, found.since, found.until) == (Trouble.EXPLODING_GRADIENTS, 12, 12)


def test_infinite_norms_are_routine_under_fp16():
    records = history(20, since=3, until=3, gradient_norm=math.inf)
    assert only(records).trouble is Trouble.DIVERGENCE
    assert examine(records, replace(FACTS, precision="fp16")) == ()


def test_vanishing_gradients():
    found = only(history(20, since=5, gradient_norm=1e-9), replace(FACTS, precision="fp16"))
    assert (found.trouble, found.since) == (Trouble.VANISHING_GRADIENTS, 5)
    assert found.cure.startswith("precision: bf16")


def test_a_fitted_network_may_have_no_gradient():
    assert examine(history(20, since=15, gradient_norm=1e-9, accuracy=1.0), replace(FACTS, random_mAP=None)) == ()


def test_not_learning():
    found = only(history(20, loss_ce=5.29, loss=5.6))
    assert (found.trouble, found.severity) == (Trouble.NOT_LEARNING, Severity.CRITICAL)
    assert examine(history(9, loss_ce=5.29, loss=5.6), FACTS) == ()  # it is early days


def test_not_learning_with_a_margin():
    """Its loss has no level of guessing, its accuracy has: 0.5 % of 200."""
    facts = replace(FACTS, plain_softmax=False)
    found = only(history(20, loss_ce=12.0, loss=12.3, accuracy=0.009), facts)
    assert (found.trouble, found.severity, found.since) == (Trouble.NOT_LEARNING, Severity.CRITICAL, 1)
    assert "training accuracy 0.9 % after 20 epochs, 0.5 % by guessing" in found.evidence
    assert examine(history(9, accuracy=0.009), facts) == ()  # it is early days
    assert examine(history(20, accuracy=lambda epoch: 0.011 if epoch == 3 else 0.009), facts) == ()  # once above it
    assert examine(history(20, accuracy=0.009), replace(facts, classified=False)) == ()
    two = replace(facts, classes=2, identities=1)  # half way to all
    assert examine(history(20, accuracy=0.8), two) == ()
    assert only(history(20, accuracy=0.7), two).trouble is Trouble.NOT_LEARNING


def test_unfinished():
    records = history(FACTS.epochs, accuracy=lambda epoch: 0.4 * epoch / FACTS.epochs)
    found = only(records)
    assert (found.trouble, found.since) == (Trouble.UNFINISHED, FACTS.epochs) and "accuracy 40 %" in found.evidence
    assert examine(records[:-1], FACTS) == ()  # it has an epoch left
    assert examine(history(FACTS.epochs, accuracy=0.51), FACTS) == ()
    with_a_margin = replace(FACTS, plain_softmax=False)  # accuracy is by the cosines alone
    assert only(records, with_a_margin) == found
    assert examine(records, replace(with_a_margin, classified=False)) == ()  # no loss trains the classifier
    silent = only(history(FACTS.epochs, loss_ce=5.29, loss=5.6, accuracy=0.01))
    assert silent.trouble is Trouble.NOT_LEARNING, "what learns nothing is not called unfinished too"


def test_random_level_looks_at_evaluated_epochs_alone():
    records = history(30, holdout_mAP=0.011)
    for record in records:
        if record["epoch"] % 10:
            del record["holdout_mAP"]
    found = only(records)
    assert (found.trouble, found.since) == (Trouble.RANDOM_LEVEL, 10)
    supernet = [{("largest_mAP" if key == "holdout_mAP" else key): record[key] for key in record} for record in records]
    assert only(supernet).trouble is Trouble.RANDOM_LEVEL


def test_overfitting():
    found = only(history(30, since=12, accuracy=0.99, holdout_mAP=lambda epoch: 0.4 - 0.01 * epoch))
    assert (found.trouble, found.severity) == (Trouble.OVERFITTING, Severity.NOTE)
    assert "after 28.0 % in epoch 12" in found.evidence and found.since == 15


@pytest.mark.parametrize(
    ("values", "severity"),
    [
        ({"identities_below_k": 60}, Severity.WARNING),
        ({"single_image_identities": 30, "identities_below_k": 40}, Severity.WARNING),
        ({"single_image_identities": 150, "identities_below_k": 160}, Severity.CRITICAL),
        ({"classes": 20}, Severity.NOTE),
    ],
)
def test_pk_starvation_before_the_first_epoch(values, severity):
    found = only([], replace(FACTS, **values))
    assert (found.trouble, found.since, found.severity) == (Trouble.PK_STARVATION, 0, severity)
    assert examine([], replace(FACTS, **values, instances=0)) == ()  # random batches have no K to fill


def test_the_worst_that_lasts_comes_first():
    records = history(20, **STUCK) + history(22, loss_ce=8.0, loss=9.0, **STUCK)[20:]
    facts = replace(FACTS, shared_images=1)
    assert [one.trouble for one in examine(records, facts)] == [
        Trouble.IDENTITY_OVERLAP,
        Trouble.STUCK_AT_MARGIN,
        Trouble.DIVERGENCE,
    ]


def test_news_tells_each_change_once():
    facts = replace(FACTS, identities_below_k=100)
    records = history(12, since=2, until=4, loss_ce=8.0, loss=9.0)
    told = {end: [(one.trouble, one.gone) for one in news(records[:end], facts)] for end in range(1, len(records) + 1)}
    assert {end: said for end, said in told.items() if said} == {
        1: [(Trouble.PK_STARVATION, False)],
        2: [(Trouble.DIVERGENCE, False)],
        5: [(Trouble.DIVERGENCE, True)],
    }


@pytest.mark.parametrize(
    ("name", "since"), [("retrain-MLR-210M-A", 4), ("retrain-mobilenetv2", 4), ("retrain-resnet18", None)]
)
def test_real_logs(name, since):
    """Market-1501, CPU protocol: both light networks' triplets stayed at the margin, ResNet-18's gap grew."""
    lines = (LOGS / f"{name}.jsonl").read_text().splitlines()
    found = examine([json.loads(line) for line in lines], replace(FACTS, epochs=28))
    assert [(one.trouble, one.since) for one in found] == ([(Trouble.STUCK_AT_MARGIN, since)] if since else [])

"""Where the rules begin to speak: of each pair of histories one is just sound, the other just is not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from reid.engine.doctor import Severity, Trouble, examine
from reid.engine.doctor.rules.cures import calm, feed_gradients, separate, start_gently
from tests.reid.engine.doctor.histories import FACTS, history

ONE_VECTOR = {"embedding_spread": 0.001, "loss_triplet": 0.31}
AT_MARGIN = {"loss_triplet": 0.305, "active_triplets": 1.0, "distance_gap": -0.005}
GUESSING = math.log(200)


def _troubles(records, facts=FACTS) -> list[Trouble]:
    return [each.trouble for each in examine(records, facts)]


@pytest.mark.parametrize(
    ("trouble", "first", "lasts", "values"),
    [
        (Trouble.COLLAPSE, 4, 2, ONE_VECTOR),
        (Trouble.STUCK_AT_MARGIN, 4, 5, AT_MARGIN),
        (Trouble.STUCK_AT_MARGIN, 3, 5, AT_MARGIN),  # the first epoch after the warm-up
        (Trouble.VANISHING_GRADIENTS, 4, 2, {"gradient_norm": 0}),
        (Trouble.NOT_LEARNING, 1, 12, {"loss_ce": 5.29}),  # 0.3 * 30 epochs after a warm-up of 2
        (Trouble.RANDOM_LEVEL, 1, 10, {"holdout_mAP": 0.011}),  # 0.25 * 30 after it
        (Trouble.EXPLODING_GRADIENTS, 4, 1, {"gradient_norm": 1e3}),  # of the first three no median is known
    ],
)
def test_troubles_are_named_when_they_have_lasted(trouble, first, lasts, values):
    last = first + lasts - 1
    assert _troubles(history(last - 1, since=first, **values)) == []
    (found,) = examine(history(last, since=first, **values), FACTS)
    since = {Trouble.RANDOM_LEVEL: last}.get(trouble, first)  # before that nothing is expected of it
    assert (found.trouble, found.since, found.until) == (trouble, since, None)


def test_gradients_do_not_explode_in_the_first_epochs():
    assert _troubles(history(3, since=3, gradient_norm=1e3)) == []


@pytest.mark.parametrize("since", [1, 2])
def test_the_margin_is_waited_at_while_the_rate_warms_up(since):
    assert _troubles(history(6, since=since, **AT_MARGIN)) == []
    (found,) = examine(history(7, since=since, **AT_MARGIN), FACTS)
    assert (found.trouble, found.since) == (Trouble.STUCK_AT_MARGIN, 3)


@pytest.mark.parametrize(
    ("trouble", "sound", "not_sound"),
    [
        (Trouble.COLLAPSE, ONE_VECTOR | {"embedding_spread": 0.0051}, ONE_VECTOR | {"embedding_spread": 0.0049}),
        (Trouble.COLLAPSE, ONE_VECTOR | {"loss_triplet": 0.269}, ONE_VECTOR | {"loss_triplet": 0.271}),
        (Trouble.STUCK_AT_MARGIN, AT_MARGIN | {"loss_triplet": 0.331}, AT_MARGIN | {"loss_triplet": 0.329}),
        (Trouble.STUCK_AT_MARGIN, AT_MARGIN | {"loss_triplet": 0.269}, AT_MARGIN | {"loss_triplet": 0.271}),
        (Trouble.STUCK_AT_MARGIN, AT_MARGIN | {"active_triplets": 0.89}, AT_MARGIN | {"active_triplets": 0.91}),
        (Trouble.NOT_LEARNING, {"loss_ce": 0.96 * GUESSING}, {"loss_ce": 0.98 * GUESSING}),
        (Trouble.RANDOM_LEVEL, {"holdout_mAP": 0.021}, {"holdout_mAP": 0.019}),
        (Trouble.VANISHING_GRADIENTS, {"gradient_norm": 1.1e-4}, {"gradient_norm": 0.9e-4}),
    ],
)
def test_how_far_is_too_far(trouble, sound, not_sound):
    assert _troubles(history(20, **sound)) == []
    assert _troubles(history(20, **not_sound)) == [trouble]


@pytest.mark.parametrize(("times", "troubles"), [(1.24, []), (1.26, [Trouble.DIVERGENCE])])
def test_a_classifier_may_cost_a_quarter_more_than_guessing(times, troubles):
    assert _troubles(history(20, since=20, loss_ce=times * GUESSING)) == troubles


@pytest.mark.parametrize(("key", "value"), [("loss_ce", 8.0), ("loss", 30.0)])
def test_an_epoch_without_a_loss_is_not_one_of_a_loss_that_is_too_high(key, value):
    records = history(20, since=17, **{key: value})
    del records[17][key]
    (found,) = examine(records, FACTS)
    assert (found.trouble, found.since) == (Trouble.DIVERGENCE, 17)  # when it was first seen
    records[17][key] = records[16][key] = None
    (found,) = examine(records, FACTS)
    assert (found.trouble, found.since) == (Trouble.DIVERGENCE, 19)


@pytest.mark.parametrize(("gap", "stuck"), [(0.0018, True), (0.002, False)])
def test_a_gap_that_grows_by_a_fortieth_of_the_margin_is_progress(gap, stuck):
    """In five epochs, from the first of them to the last: 4 * 0.0018 is below 0.0075."""
    records = history(8, since=4, **AT_MARGIN | {"distance_gap": lambda epoch: gap * epoch})
    assert _troubles(records) == [Trouble.STUCK_AT_MARGIN] * stuck


def test_a_high_random_level_is_exceeded_by_a_quarter():
    high = replace(FACTS, random_mAP=0.1)
    assert _troubles(history(20, holdout_mAP=0.126), high) == []
    (found,) = examine(history(20, holdout_mAP=0.124), high)
    assert found.trouble is Trouble.RANDOM_LEVEL
    assert found.evidence == "held-out mAP 12.4 %, a random ranking has 10.0 %"


@pytest.mark.parametrize(("lowest", "sound", "not_sound"), [(2.0, 3.9, 4.1), (0.1, 0.59, 0.61)])
def test_losses_may_double_and_small_ones_rise_by_a_half(lowest, sound, not_sound):
    for last, troubles in ((sound, []), (not_sound, [Trouble.DIVERGENCE])):
        assert _troubles(history(8, loss=lambda epoch, last=last: last if epoch == 8 else lowest)) == troubles


@pytest.mark.parametrize(("times", "troubles"), [(19, []), (21, [Trouble.EXPLODING_GRADIENTS])])
def test_gradients_may_be_twenty_times_as_long_as_is_usual(times, troubles):
    usual = {1: 1.0, 2: 2.0, 3: 3.0, 4: 2.0}
    assert _troubles(history(5, gradient_norm=lambda epoch: usual.get(epoch, times * 2.0))) == troubles


def test_a_gradient_that_comes_back_from_none_has_not_exploded():
    records = history(5, gradient_norm=lambda epoch: 1.1e-6 if epoch < 5 else 0.9e-4, loss=lambda epoch: 9.0 - epoch)
    (found,) = examine(records, FACTS)
    assert found.trouble is Trouble.VANISHING_GRADIENTS and found.evidence == "gradient norm 9.0e-05 at a loss of 4"


@pytest.mark.parametrize(("first", "cure"), [(5.3, "train longer"), (8.0, "a lower optimizer.lr")])
def test_what_learns_nothing_is_calmed_where_it_was_worse_than_guessing(first, cure):
    records = history(20, loss_ce=lambda epoch: first if epoch == 1 else 5.29, loss=9.0)
    found = {each.trouble: each for each in examine(records, FACTS)}
    assert found[Trouble.NOT_LEARNING].cure.startswith(cure)


@pytest.mark.parametrize(
    ("distances", "facts", "collapsed"),
    [
        ((0.105, 0.01), FACTS, True),  # 0.005 * sqrt(2) of the norm, which is 15, is 0.106
        ((0.01, 0.105), FACTS, True),
        ((0.107, 0.01), FACTS, False),
        ((0.01, 0.107), FACTS, False),
        ((0.0070, 0.001), replace(FACTS, normalize=True), True),
        ((0.0072, 0.001), replace(FACTS, normalize=True), False),
    ],
)
def test_a_collapse_is_read_off_distances_where_no_spread_is_known(distances, facts, collapsed):
    positive, negative = distances
    records = history(3, distance_positive=positive, distance_negative=negative, loss_triplet=0.31)
    for record in records:
        del record["embedding_spread"]
    assert _troubles(records, facts) == [Trouble.COLLAPSE] * collapsed


def test_a_triplet_loss_without_a_weight_says_nothing_of_a_collapse():
    low, unheard = ONE_VECTOR | {"loss_triplet": 0.1}, replace(FACTS, triplet_weight=0.0)
    assert _troubles(history(3, **low)) == []
    (found,) = examine(history(3, **low | {"embedding_spread": lambda epoch: 0.001 * epoch}), unheard)
    assert found.trouble is Trouble.COLLAPSE
    assert "spread 0.0030 of 1" in found.evidence and "triplet" not in found.evidence


@pytest.mark.parametrize(
    ("accuracy", "scores", "fits"),
    [
        (0.99, [0.3, 0.26, 0.26], True),
        (0.94, [0.3, 0.26, 0.26], False),  # there is more to learn
        (0.99, [0.3, 0.26], False),  # one look may be chance
        (0.99, [0.3, 0.272, 0.272], False),  # less than a tenth
        (0.99, [0.05, 0.041, 0.041], False),  # less than a point
        (0.99, [0.3, 0.26, 0.29], False),  # it is on its way back
    ],
)
def test_what_is_fitted_to_its_training_images(accuracy, scores, fits):
    records = history(20, accuracy=accuracy)
    for record in records:
        del record["holdout_mAP"]
    for record, score in zip(records[-len(scores) :], scores, strict=True):
        record["holdout_mAP"] = score
    assert _troubles(records) == [Trouble.OVERFITTING] * fits


@pytest.mark.parametrize(
    ("sound", "not_sound", "severity"),
    [
        ({"identities_below_k": 50}, {"identities_below_k": 51}, Severity.WARNING),
        ({"single_image_identities": 20}, {"single_image_identities": 21}, Severity.WARNING),
        ({"single_image_identities": 0}, {"single_image_identities": 101}, Severity.CRITICAL),
        ({"classes": 32}, {"classes": 31}, Severity.NOTE),
        ({}, {"shared_identities": 1}, Severity.CRITICAL),
        ({}, {"shared_images": 1}, Severity.CRITICAL),
    ],
)
def test_data_that_starve_batches_or_spoil_the_test(sound, not_sound, severity):
    assert examine([], replace(FACTS, **sound)) == ()
    (found,) = examine([], replace(FACTS, **not_sound))
    assert found.severity == severity


def test_cures_name_what_is_not_done_yet():
    eager = replace(FACTS, warmup=1, steps_per_epoch=199, selection="batch_hard", normalize=False, learning_rate=0.05)
    rate, warmup = "a lower optimizer.lr (now 0.05)", "a longer schedule.warmup (now 1 epoch, 199 steps)"
    softer, bounded = "losses.triplet.selection: semi_hard", "losses.triplet.normalize: true"
    assert separate(eager) == f"{softer}, {rate}, {warmup}, {bounded}"
    assert separate(replace(eager, triplet_weight=0.0)) == f"{rate}, {warmup}"
    done = replace(eager, selection="semi_hard", normalize=True, steps_per_epoch=200)
    assert separate(done) == rate and start_gently(done) == f"{rate}, train longer"
    assert calm(done) == f"{rate}, clip_gradient: 5"
    half = replace(done, precision="fp16", clip_gradient=2.5)
    assert calm(half) == f"{rate}, a smaller clip_gradient (now 2.5), precision: bf16 or fp32 (now fp16)"
    assert feed_gradients(done).startswith("check whether") and feed_gradients(half).startswith("precision: bf16")

from __future__ import annotations

import pytest

from reid.engine.runs.tags import TAGS, tag_of


@pytest.mark.parametrize(
    "name, tag",
    [
        ("loss", "loss/total"),
        ("loss_ce", "loss/ce"),
        ("loss_distillation", "loss/distillation"),
        ("active_triplets", "triplet/active"),
        ("holdout_mAP", "score/holdout_mAP"),
        ("holdout_rank1", "score/holdout_rank1"),
        ("largest_mAP", "score/largest_mAP"),
        ("smallest_loss", "loss/total_smallest"),
        ("smallest_loss_triplet", "loss/triplet_smallest"),
        ("smallest_accuracy", "score/accuracy_smallest"),
        ("lr", "optimizer/lr"),
        ("seconds", "other/seconds"),
    ],
)
def test_every_field_has_its_group(name, tag):
    assert tag_of(name) == tag


def test_no_two_fields_share_a_chart():
    names = [*TAGS, "loss_ce", "loss_triplet", "holdout_mAP", "seconds", *(f"smallest_{name}" for name in TAGS)]
    assert len({tag_of(name) for name in names}) == len(names)
    assert all(tag_of(name).count("/") == 1 for name in names)

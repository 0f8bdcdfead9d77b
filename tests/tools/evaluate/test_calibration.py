"""On which features a threshold is not set."""

from __future__ import annotations

import pytest
import torch

from evaluation.features.files import save_features
from evaluation.retrieval.labeled_features import LabeledFeatures, RetrievalFeatures
from evaluation.retrieval.rules import RECORDS
from reid.errors import UserError
from tools.jobs.evaluate.calibration import calibration


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"fingerprint": "b"}, "another network"),
        ({"flip": True}, r"another flip test \(--flip\)"),
        ({"input_size": [64, 32]}, "another input size"),
        ({"precision": "bf16"}, r"another precision \(--precision\)"),
        ({"data": "msmt17"}, None),
    ],
)
def test_a_threshold_is_not_set_on_features_that_were_made_otherwise(tmp_path, changed, words):
    side = LabeledFeatures(torch.eye(4), torch.tensor([1, 1, 2, 2]), torch.tensor([1, 2, 1, 2]))
    about = {"fingerprint": "a", "flip": False, "input_size": [256, 128], "precision": "fp32"}
    own, silent = (RetrievalFeatures(side, side, RECORDS, about=each) for each in (about, {}))
    held = LabeledFeatures(1 - torch.eye(4), side.pids, side.camids)
    file = str(save_features(tmp_path / "held.npz", RetrievalFeatures(held, held, RECORDS, about=about | changed)))
    assert calibration(file, silent).features.about["flip"] == changed.get("flip", False)  # who knows
    if words is None:
        assert calibration(file, own)
        return
    with pytest.raises(UserError, match=f"its features are of {words} than those to evaluate"):
        calibration(file, own)


def test_a_threshold_is_not_set_on_the_features_that_are_evaluated(tmp_path):
    """Its rates would be told as if they held for others."""
    side = LabeledFeatures(torch.eye(4), torch.tensor([1, 1, 2, 2]), torch.tensor([1, 2, 1, 2]))
    own = RetrievalFeatures(side, side, RECORDS)
    file = str(save_features(tmp_path / "own.npz", own))
    with pytest.raises(UserError, match=r"own\.npz: its features are those to evaluate, .* or test-half$"):
        calibration(file, own)

"""Which identities are known to be strangers to a network."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from reid.data.records import Dataset
from tools.jobs.data import Source
from tools.jobs.evaluate.calibration import never_trained_on
from tools.jobs.experiment import DataConfig

CONFIG = DataConfig(train_identities=200, holdout_identities=50)
SAME = {"train_identities": 200, "holdout_identities": 50, "retrain_on_holdout": False, "also_train": []}


@pytest.mark.parametrize(
    ("evaluated", "trained", "data", "supernet", "strangers"),
    [
        ("market1501", "market1501", SAME, False, True),
        ("market1501", "market1501", {**SAME, "retrain_on_holdout": True}, False, False),
        ("market1501", "market1501", {**SAME, "retrain_on_holdout": True}, True, True),  # a search needs them unseen
        ("market1501", "market1501", {**SAME, "train_identities": 250}, True, False),
        ("market1501", "market1501", {**SAME, "holdout_identities": 40}, False, False),
        ("market1501", "market1501", {}, False, False),
        ("msmt17", "market1501", {**SAME, "retrain_on_holdout": True}, False, True),
        (
            "msmt17",
            "market1501",
            {**SAME, "also_train": [{"name": "msmt17"}], "retrain_on_holdout": True},
            False,
            False,
        ),
        ("cuhk03-np-detected", "cuhk03-classic-labeled-split03", {"train_identities": 1}, False, False),
        ("market1501", "market1501", None, False, False),
    ],
)
def test_strangers(tmp_path, evaluated, trained, data, supernet, strangers):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"dataset": trained, "data": data}))
    source = Source(Dataset(evaluated, (), (), ()), Path("cache"))
    assert never_trained_on(tmp_path, source, CONFIG, supernet) is strangers


def test_a_run_that_does_not_tell(tmp_path):
    source = Source(Dataset("market1501", (), (), ()), Path("cache"))
    assert not never_trained_on(tmp_path, source, CONFIG, supernet=True)
    (tmp_path / "config.yaml").write_text("[1]")
    assert not never_trained_on(tmp_path, source, CONFIG, supernet=True)

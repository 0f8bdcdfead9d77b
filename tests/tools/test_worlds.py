"""Synthetic sets of other persons but equal counts are other data: results say which, and tables keep them apart."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from evaluation.protocols import Protocol
from tools.jobs.data import open_source, retrain_data, train_set_words
from tools.jobs.data import test_data as official
from tools.jobs.evaluate.result import _test_set

FEW = "data.synthetic={train_identities: 2, test_identities: 1, distractors: 0, junk: 0, cameras: 2}"


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("data.synthetic.seed=0", ""),
        ("data.synthetic.seed=1", ", synthetic.seed 1"),
        ("data.synthetic={seed: 1, size: [32, 16]}", ", synthetic.seed 1, synthetic.size 32x16"),
    ],
)
def test_what_counts_do_not_tell_is_told(make_job, tmp_path, setting, told):
    data = make_job(tmp_path, FEW, setting).experiment.data
    source = open_source(data, None)
    assert train_set_words(source, retrain_data(source, data)) == f"synthetic: 2 identities, 8 images{told}"
    query, gallery = official(source)
    words = _test_set([source], SimpleNamespace(query=query, gallery=gallery), Protocol(flip=True))
    assert words == f"synthetic: 2 queries, 2 gallery images{told}, mean with the mirror image"
    words = _test_set([source], SimpleNamespace(query=query, gallery=gallery), Protocol(precision="bf16"))
    assert words == f"synthetic: 2 queries, 2 gallery images{told}, features in bf16"
    # The same set where Market-1501 is looked for, as one that was made by hand.
    folder = Path(source.dataset.train[0].path).parents[1]
    found = open_source(make_job(tmp_path, "data.name=auto").experiment.data, folder)
    assert train_set_words(found, query).endswith(f"images{told}")

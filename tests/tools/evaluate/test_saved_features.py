"""``tools/evaluate.py`` on features that another program has saved."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reid.files import read_json


@pytest.mark.parametrize(
    ("about", "told", "words"),
    [
        (None, {}, "features as given; how they were made is not recorded"),
        ({"flip": True}, {"flip": True}, "features averaged with the mirror image"),
    ],
)
def test_what_they_do_not_say_is_not_claimed(call, read_page, tmp_path, about, told, words):
    pids = np.arange(40) % 10 + 1
    values = (np.eye(10)[pids - 1] + 0.2 * np.random.default_rng(0).normal(size=(40, 10))).astype(np.float32)
    arrays = {"query_features": values[:10], "query_pids": pids[:10]}
    arrays |= {"gallery_features": values[10:], "gallery_pids": pids[10:]}
    if about is not None:
        arrays["about"] = np.array(json.dumps(about))
    np.savez(tmp_path / "features.npz", **arrays)
    done = call("evaluate", tmp_path / "features.npz", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    score = read_json(tmp_path / "out" / "score.json")
    assert {key: score["protocol"][key] for key in ("flip", "precision") if key in score["protocol"]} == told
    line = f"cosine distance, 1 - cos; {words}"
    assert score["rules"][0] == line and line in read_page(tmp_path / "out" / "report.html").all("p")
    assert f"  {line}\n" in done.out

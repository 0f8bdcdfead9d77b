"""The samples of docs/embed.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

PAGE = Path(__file__).resolve().parents[2] / "docs" / "embed.md"


def test_the_samples_of_the_docs():
    samples = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    draw = np.random.default_rng(0)
    frame = draw.integers(0, 256, (150, 120, 3), dtype=np.uint8)
    crops = [frame[5:120, 10:60, ::-1], frame[20:150, 50:110, ::-1]]
    names = {"crops": crops, "frame": frame, "boxes": np.array([[10, 5, 60, 120], [50, 20, 110, 150]])}
    for sample in samples:
        exec(sample, names)
    assert len(samples) == 2 and names["vectors"].shape == (2, names["embedder"].feature_dim)
    np.testing.assert_allclose(np.diag(names["alike"]), 1, atol=1e-5)
    np.testing.assert_allclose(names["vectors"] @ names["vectors"].T, names["alike"], atol=1e-5)

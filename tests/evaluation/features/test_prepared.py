from __future__ import annotations

import pytest
import torch

from evaluation.features import prepared
from evaluation.features.prepared import PreparedImages
from reid.data.prepare import prepare

PIXELS = torch.randint(0, 256, (10, 16, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
SMALL, LARGE = (12, 8), (24, 16)
BYTES = 10 * 3 * 12 * 8 * 4
"""Of all images at ``SMALL`` in float32; ``LARGE`` takes four times as much."""


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("limit", [0, BYTES, 5 * BYTES])
def test_batches_are_the_prepared_images(dtype, limit):
    images = PreparedImages(PIXELS, "cpu", 4, dtype, limit)
    for size in (SMALL, LARGE, SMALL, LARGE):
        batches = list(images.batches(size))
        assert [len(batch) for batch in batches] == [4, 4, 2]
        assert all(batch.is_contiguous(memory_format=torch.channels_last) for batch in batches)
        assert torch.equal(torch.cat(batches), prepare(PIXELS, size).to(dtype))
        assert images.kept_bytes <= limit


@pytest.mark.parametrize(
    ("limit", "kept"),
    [(BYTES - 1, ()), (BYTES, (SMALL,)), (5 * BYTES - 1, (SMALL,)), (5 * BYTES, (SMALL, LARGE))],
)
def test_sizes_are_kept_as_far_as_the_limit_goes(monkeypatch, limit, kept):
    asked = []
    monkeypatch.setattr(prepared, "prepare", lambda pixels, size: asked.append(size) or prepare(pixels, size))
    images = PreparedImages(PIXELS, "cpu", 4, limit=limit)
    for size in (SMALL, LARGE) * 3:
        list(images.batches(size))
    for size in (SMALL, LARGE):
        assert asked.count(size) == (3 if size in kept else 9)
    assert images.kept_bytes == {(): 0, (SMALL,): BYTES, (SMALL, LARGE): 5 * BYTES}[kept]

"""A training reads its images from the mapped cache alone: after the first step no file is opened."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from reid.data.cache import load_images
from reid.data.records import ImageRecord
from reid.engine.batches import training_batches
from reid.engine.training_step import TrainingStep

Opened = Callable[[Callable[[], object]], list]


@pytest.fixture(scope="module")
def opened() -> Opened:
    """``opened(run)``: what ``run()`` opens. An audit hook stays for good, so there is one for the module."""
    seen: list[list] = []
    sys.addaudithook(lambda event, details: seen[-1].append(details[0]) if event == "open" and seen else None)

    def record(run: Callable[[], object]) -> list:
        seen.append([])
        try:
            run()
            return list(seen[-1])
        finally:
            seen.clear()

    return record


@pytest.mark.parametrize("size", [(32, 16), (48, 24)], ids=["stored size", "resized"])
def test_no_file_is_opened_after_the_first_step(tmp_path, opened, recipe, make_task, size):
    records = []
    for number in range(36):
        path = tmp_path / f"{number:02d}.png"
        pixels = np.random.default_rng(number).integers(0, 256, (32, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        records.append(ImageRecord(str(path), 1 + number // 6, 1))
    load_images(records, tmp_path / "cache", progress=False)
    data = load_images(records, tmp_path / "cache", progress=False)  # mapped, as the second run finds it
    device = torch.device("cpu")
    batches = training_batches(data, recipe, size, 3, device)
    task = make_task(recipe).train()
    step = TrainingStep(task, recipe, device, batches.per_epoch)
    step(*next(batches.epoch(1)), 0)  # the first one may import what it needs

    steps = []

    def further() -> None:
        for number, (images, labels) in enumerate(batches.epoch(2), start=1):
            steps.append(step(images, labels, number))

    assert opened(further) == [] and len(steps) == batches.per_epoch > 1


def test_what_is_opened_is_seen(tmp_path, opened):
    path = tmp_path / "image.png"
    Image.new("RGB", (4, 8)).save(path)
    assert str(path) in map(str, opened(lambda: Image.open(path).load()))
    np.save(tmp_path / "array.npy", np.zeros(3))
    assert any("array.npy" in str(each) for each in opened(lambda: np.load(tmp_path / "array.npy", mmap_mode="c")))

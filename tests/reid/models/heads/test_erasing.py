"""Feature erasing: shares, places, chances and scale."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reid.models.heads import FeatureEraseConfig, HeadConfig
from reid.models.heads.erasing import FeatureErase, erased_sides
from reid.models.heads.pooling import build_pool, mean_order


def _erased(config: FeatureEraseConfig, count: int = 6, size: tuple[int, int] = (9, 4)) -> torch.Tensor:
    """Where a map of ones was zeroed: ``(count, *size) bool``; all channels must agree."""
    zeros = FeatureErase(config, math.inf).train()(torch.ones(count, 3, *size)) == 0
    assert bool((zeros == zeros[:, :1]).all())
    return zeros[:, 0]


def _box(erased: torch.Tensor) -> tuple[int, int, int, int]:
    """Top, left, height, width of the erased rectangle, which must be one."""
    rows, columns = erased.any(1).nonzero().flatten().tolist(), erased.any(0).nonzero().flatten().tolist()
    assert int(erased.sum()) == len(rows) * len(columns)
    assert rows == list(range(rows[0], rows[-1] + 1)) and columns == list(range(columns[0], columns[-1] + 1))
    return rows[0], columns[0], len(rows), len(columns)


def test_a_batch_loses_one_stripe():
    boxes = {_box(image) for image in _erased(FeatureEraseConfig())}
    assert len(boxes) == 1
    _, left, height, width = boxes.pop()
    assert (left, height, width) == (0, 3, 4)  # 0.33 of 9 rows, all columns


def test_each_image_loses_its_own_rectangle():
    boxes = [_box(image) for image in _erased(FeatureEraseConfig(height=0.33, width=0.5, per_image=True), 200)]
    assert {box[2:] for box in boxes} == {(3, 2)}
    assert {box[:2] for box in boxes} == {(top, left) for top in range(7) for left in range(3)}


def test_every_place_is_as_likely():
    """Seven tops, within five standard deviations of a binomial count."""
    tops = _erased(FeatureEraseConfig(per_image=True), 7000)[:, :, 0].int().argmax(1)
    assert (tops.bincount() - 1000).abs().max() < 5 * (7000 * 1 / 7 * 6 / 7) ** 0.5 and len(tops.unique()) == 7


def test_the_lesser_share_gives_way_where_both_sides_round_to_the_whole_map():
    assert erased_sides(2, 1, FeatureEraseConfig(height=0.8, width=1.0)) == (1, 1)
    assert erased_sides(1, 2, FeatureEraseConfig(height=1.0, width=0.8)) == (1, 1)


def test_chance_of_erasing():
    hit = _erased(FeatureEraseConfig(probability=0.3, per_image=True), 4000).any((1, 2))
    assert float(hit.float().mean()) == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / 4000) ** 0.5)
    batches = [_erased(FeatureEraseConfig(probability=0.5)).any((1, 2)) for _ in range(40)]
    assert {(bool(batch.any()), bool(batch.all())) for batch in batches} == {(True, True), (False, False)}


@given(st.integers(1, 12), st.integers(1, 8), st.floats(0.01, 1.0), st.floats(0.01, 0.99), st.booleans())
def test_something_is_always_left(height, width, one, other, tall):
    config = FeatureEraseConfig(height=one, width=other) if tall else FeatureEraseConfig(height=other, width=one)
    rows, columns = erased_sides(height, width, config)
    assert 0 <= rows * columns < height * width
    assert abs(rows - config.height * height) <= 1.5 or rows == 0
    zeros = _erased(config, 2, (height, width))
    assert int(zeros.sum()) == 2 * rows * columns


@pytest.mark.parametrize("pool", ["avg", "gem", "max", "avg_max"])
def test_pooled_maps_keep_their_scale(pool):
    """Of a constant map any part pools to the constant; a BN behind it must see in training what it sees later."""
    config = HeadConfig(pool=pool, erase=FeatureEraseConfig(probability=0.5, per_image=True))
    maps = torch.full((20, 2, 9, 4), 2.5)
    pooled = build_pool(config)(FeatureErase(config.erase, mean_order(config)).train()(maps))
    if pool == "avg_max":  # its average falls by the erased third, its maximum does not
        lowest = 2.5 * (1 + 2 / 3) / 2
        torch.testing.assert_close(pooled.unique(), torch.tensor([lowest, 2.5]))
    else:
        torch.testing.assert_close(pooled, torch.full((20, 2), 2.5))


def test_gradient_passes_where_the_map_was_kept():
    maps = torch.rand(4, 3, 9, 4, requires_grad=True)
    erased = FeatureErase(FeatureEraseConfig(), math.inf).train()(maps)
    erased.sum().backward()
    assert torch.equal(maps.grad, (erased != 0).float())


def test_only_in_training_and_by_the_seed(maps):
    erase = FeatureErase(FeatureEraseConfig(per_image=True))
    assert erase.eval()(maps) is maps
    erase.train()
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(erase(maps))
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


def test_type_and_memory_format_stay():
    maps = torch.rand(4, 3, 9, 4).bfloat16().contiguous(memory_format=torch.channels_last)
    erased = FeatureErase(FeatureEraseConfig()).train()(maps)
    assert erased.dtype == torch.bfloat16 and erased.is_contiguous(memory_format=torch.channels_last)

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.data.erasing import _erase_lines, _erase_masked, draw_boxes


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    size=st.sampled_from([(128, 64), (256, 128), (64, 32), (96, 96)]),
    area=st.sampled_from([(0.02, 0.4), (0.1, 0.1), (0.3, 0.6)]),
    ratio=st.sampled_from([0.3, 0.5, 1.0]),
)
def test_erased_rectangles_keep_to_area_ratio_and_image(seed, size, area, ratio):
    box = draw_boxes(200, size, area, ratio, torch.Generator().manual_seed(seed)).double()
    top, left, height, width = box.unbind(1)
    assert (height > 0).all() and (width > 0).all()
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= size[0]).all() and (left + width <= size[1]).all()
    # Sides are rounded by at most half a pixel.
    pixels = size[0] * size[1]
    assert ((height + 0.5) * (width + 0.5) >= area[0] * pixels).all()
    assert ((height - 0.5) * (width - 0.5) <= area[1] * pixels).all()
    assert ((height + 0.5) / (width - 0.5) >= ratio).all()
    assert ((height - 0.5) / (width + 0.5) <= 1 / ratio).all()


def test_no_rectangle_where_none_fits():
    # A tenth of an image 1,000 times as high as wide is wider than the image at any ratio of 0.9 to 1/0.9.
    assert not draw_boxes(50, (4000, 4), (0.1, 0.1), 0.9, torch.Generator()).any()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 6), share=st.sampled_from([0.0, 0.5, 1.0]))
def test_gpu_erases_what_the_cpu_does(seed, count, share):
    """The CPU touches only the lines that a rectangle crosses, a GPU all pixels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, 24, 16, generator=generator).contiguous(memory_format=torch.channels_last)
    box = draw_boxes(count, (24, 16), (0.02, 0.4), 0.3, generator)
    box[torch.rand(count, generator=generator) >= share] = 0
    everywhere = _erase_masked(images.clone(memory_format=torch.preserve_format), box)
    assert torch.equal(_erase_lines(images, box), everywhere)
    assert everywhere.is_contiguous(memory_format=torch.channels_last)

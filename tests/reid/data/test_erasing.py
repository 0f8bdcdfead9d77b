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


def test_rectangles_lie_anywhere_alike():
    """All of one size: their corners reach every place that keeps them inside, each as often."""
    box = draw_boxes(20000, (12, 20), (0.15, 0.15), 1.0, torch.Generator().manual_seed(0))
    assert (box[:, 2:] == 6).all()
    for corner, places in ((box[:, 0], 7), (box[:, 1], 15)):
        share = torch.bincount(corner, minlength=places) / 20000
        # Five standard deviations of a binomial share with 20,000 draws are at most 0.0124.
        assert len(share) == places and (share - 1 / places).abs().max() < 0.0124


def test_no_rectangle_crosses_a_whole_side():
    """As in Zhong et al.'s code, which asks for less than the sides of the image."""
    box = draw_boxes(2000, (9, 6), (0.5, 0.9), 0.3, torch.Generator().manual_seed(0))
    assert box[:, 2].max() == 8 and box[:, 3].max() == 5


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
    wanted = images.clone()
    for image, (top, left, height, width) in zip(wanted, box.tolist(), strict=True):
        image[:, top : top + height, left : left + width] = 0
    everywhere = _erase_masked(images.clone(memory_format=torch.preserve_format), box)
    assert torch.equal(everywhere, wanted)
    assert torch.equal(_erase_lines(images, box), everywhere)
    assert everywhere.is_contiguous(memory_format=torch.channels_last)

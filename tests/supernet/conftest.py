"""Spaces that the tests of the supernet share."""

from __future__ import annotations

import pytest

from supernet.omni.space import OmniStageSpace
from supernet.space import Space, StageSpace


@pytest.fixture(scope="session")
def toy_space() -> Space:
    """A space of 40,320 archs in which every kind of choice is made: a mixed expansion of 1, a kernel of 1, no last
    convolution, an embedding."""
    stages = (
        StageSpace(stride=1, widths=(4, 6), depths=(1,), kernels=(3,), expands=(1,)),
        StageSpace(stride=2, widths=(6, 8), depths=(1, 2), kernels=(1, 3, 5), expands=(1, 3)),
        StageSpace(stride=2, widths=(8, 12, 16), depths=(1, 2), kernels=(3, 5), expands=(2, 3)),
    )
    return Space("toy", (32, 16), (4, 6), stages, (0, 10), embedding=None)


@pytest.fixture(scope="session")
def plus_space() -> Space:
    """``toy_space`` with every further choice: odd hidden widths, blocks with and without expansion in one stage, two
    input sizes."""
    off_on, acts = (False, True), ("relu6", "h-swish")
    stages = (
        StageSpace(1, (4, 7), (1,), (3,), (1,), se=off_on, acts=acts),
        StageSpace(2, (5, 8), (1, 2), (1, 3, 5), (1, 3), se=off_on, ibn=off_on, acts=acts),
        StageSpace(2, (8, 13, 16), (1, 2), (3, 5), (2, 3), se=off_on, ibn=off_on, acts=acts),
    )
    return Space("plus", (32, 24), (4, 6), stages, (0, 10), last_strides=(2, 1), smaller_sizes=((32, 16),))


@pytest.fixture(scope="session")
def omni_space() -> Space:
    """Omni-scale stages with every choice that they have, and between them one of inverted residual blocks: widths that
    are equal in stages that follow each other, hidden channels that are too few for a sixteenth, odd maps, two
    kernels of the stem."""
    off_on = (False, True)
    stages = (
        OmniStageSpace(2, (6, 8), (1, 2), hidden=(4, 7), streams=(1, 2), kernels=(3,), transition=off_on),
        StageSpace(1, (8, 10), (1,), (3, 5), (1, 2), ibn=off_on),
        OmniStageSpace(2, (8, 12), (1, 2), hidden=(3, 33), streams=(2, 3, 4), kernels=(1, 3, 5), transition=off_on),
        OmniStageSpace(1, (12,), (1,), hidden=(8,), streams=(4,), kernels=(3,), transition=(True,)),
    )
    return Space(
        "omni",
        (68, 40),
        (4, 6),
        stages,
        (0, 10),
        last_strides=(2, 1),
        smaller_sizes=((64, 32),),
        stem_kernels=(3, 7),
        stem_pool=True,
    )

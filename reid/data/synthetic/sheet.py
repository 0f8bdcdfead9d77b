"""A contact sheet: identities in rows, cameras in columns."""

from __future__ import annotations

import numpy as np

from reid.data.synthetic.render import render_person


def contact_sheet(
    seed: int = 0,
    identities: tuple[int, ...] = tuple(range(1, 9)),
    cameras: tuple[int, ...] = (1, 2, 3, 4, 5, 6),
    size: tuple[int, int] = (128, 64),
    gap: int = 4,
) -> np.ndarray:
    """Pictures of ``identities`` (rows) under ``cameras`` (columns), ``(H, W, 3) uint8`` on white."""
    height, width = size
    shape = (len(identities) * (height + gap) + gap, len(cameras) * (width + gap) + gap, 3)
    sheet = np.full(shape, 255, np.uint8)
    for i, identity in enumerate(identities):
        for j, camera in enumerate(cameras):
            y, x = gap + i * (height + gap), gap + j * (width + gap)
            sheet[y : y + height, x : x + width] = render_person(seed, identity, camera, 0, size)
    return sheet

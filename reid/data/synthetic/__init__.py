"""Synthetic pedestrians: a seeded data set in Market-1501's file layout for machines that have no real one.

``SyntheticConfig`` says what to make, ``make_synthetic`` writes it, ``render_person`` gives one picture.
"""

from __future__ import annotations

from reid.data.synthetic.config import SyntheticConfig
from reid.data.synthetic.generate import make_synthetic, picture_size, world_words
from reid.data.synthetic.render import render_person
from reid.data.synthetic.sheet import contact_sheet

__all__ = ["SyntheticConfig", "contact_sheet", "make_synthetic", "picture_size", "render_person", "world_words"]

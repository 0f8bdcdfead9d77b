from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

MakeImages = Callable[..., None]


@pytest.fixture
def make_images() -> MakeImages:
    """Writes tiny pictures: ``make_images(folder, "a.png", "b/c.jpg")``."""

    def make(folder: Path, *names: str) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (2, 4), (120, 60, 30)).save(folder / name)

    return make


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv("REID_DATA", raising=False)

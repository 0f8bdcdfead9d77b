"""Published rows: figures of other authors, not measured here, each with its source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from reid.config import STRICT, load_config

Percent = Annotated[float, Field(gt=0, le=100)]


@dataclass(frozen=True, config=STRICT)
class PublishedRow:
    """A figure as its authors give it.

    Attributes:
        name: of the network, and of its training where there are several.
        weights: what the training began with.
        mAP, rank1: in percent.
        flops: as printed there; empty where it is not.
        source: where it can be read.
    """

    name: str
    weights: Literal["scratch", "ImageNet"]
    mAP: Percent
    rank1: Percent
    source: Annotated[str, Field(min_length=1)]
    flops: str = ""


@dataclass(frozen=True, config=STRICT)
class Published:
    """A file of them, and in ``about`` what they have in common."""

    about: str = ""
    rows: tuple[PublishedRow, ...] = ()


def load_published(path: Path) -> Published:
    """Raises UserError where the file is unreadable, or a row has no source."""
    return load_config(Published, path)

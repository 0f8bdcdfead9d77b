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
    """A result as its authors report it.

    Attributes:
        name: of the network, and of its training if there are several.
        weights: initial weights of the training.
        mAP, rank1: in percent.
        flops: as printed in the source; empty if not stated.
        source: where the figure is published.
    """

    name: str
    weights: Literal["scratch", "ImageNet"]
    mAP: Percent
    rank1: Percent
    source: Annotated[str, Field(min_length=1)]
    flops: str = ""


@dataclass(frozen=True, config=STRICT)
class Published:
    """A file of published rows; ``about`` is what they have in common."""

    about: str = ""
    rows: tuple[PublishedRow, ...] = ()


def load_published(path: Path) -> Published:
    """The published rows in a file; raises UserError if it is unreadable or a row has no source."""
    return load_config(Published, path)

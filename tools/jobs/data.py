"""The images a job works on: found or made, split by identity, decoded."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from reid.config import config_to_dict
from reid.data.cache import load_images
from reid.data.locate import find_market1501
from reid.data.market1501 import read_market1501
from reid.data.records import Dataset, ImageSet
from reid.data.split import query_gallery_split, take_identities
from reid.data.synthetic import make_synthetic
from reid.errors import UserError
from tools.jobs.experiment import ROOT, DataConfig

MADE_BY_US = "synthetic.json"
"""A folder with this file holds a synthetic set, whose counts are not Market-1501's."""


@dataclass(frozen=True)
class Source:
    """A data set at hand: its records, the folder of its decoded cache, and what to say of it."""

    dataset: Dataset
    cache: Path
    notice: str | None = None


@dataclass(frozen=True)
class SearchData:
    """Images for supernet and search: training identities, and the held-out ones as query and gallery."""

    train: ImageSet
    query: ImageSet
    gallery: ImageSet


def open_source(config: DataConfig, given: Path | None) -> Source:
    """The data set that ``config`` names, at ``given`` or where it is found; the synthetic set is made where it is
    not there.

    Raises:
        UserError: the data set is missing, half extracted, or not where ``given`` says.
    """
    cache = ROOT / "data" / "cache"
    if config.name != "synthetic":
        found = find_market1501(given, ROOT)
        if found is not None:
            made = (found / MADE_BY_US).exists()
            return Source(read_market1501(found, check_counts=not made), cache)
        if config.name == "market1501":
            raise UserError(
                "Market-1501 was not found under data/ or $REID_DATA; extract it there or name it with --data"
            )
    elif given is not None:
        raise UserError(f"--data {given}: the config asks for the synthetic set (data.name); add --set data.name=auto")
    key = hashlib.sha256(json.dumps(config_to_dict(config)["synthetic"]).encode()).hexdigest()[:10]
    folder = make_synthetic(ROOT / "data" / f"synthetic-{key}", config.synthetic)
    notice = None
    if config.name == "auto":
        notice = (
            "no Market-1501 under data/ or $REID_DATA: using the SYNTHETIC set; its scores say nothing of real cameras"
        )
    dataset = read_market1501(folder, check_counts=False)
    return Source(Dataset("synthetic", dataset.train, dataset.query, dataset.gallery), cache, notice)


def search_data(source: Source, config: DataConfig) -> SearchData:
    """Training and held-out identities, decoded. The test set is not touched."""
    images = load_images(source.dataset.train, source.cache)
    identities = len(images.pids.unique())
    held = config.holdout_identities
    train = config.train_identities or identities - held
    if train < 2 or train + held > identities:
        raise UserError(
            f"data: {train} training and {held} held-out identities, but {source.dataset.name} has {identities}; "
            "lower data.train_identities or data.holdout_identities"
        )
    query, gallery = query_gallery_split(take_identities(images, train, held))
    return SearchData(take_identities(images, 0, train), query, gallery)


def retrain_data(source: Source, config: DataConfig) -> ImageSet:
    """The identities that stand-alone networks are trained on, decoded."""
    images = load_images(source.dataset.train, source.cache)
    count = config.train_identities
    if count is None:
        held = 0 if config.retrain_on_holdout else config.holdout_identities
        count = len(images.pids.unique()) - held
    elif config.retrain_on_holdout:
        count += config.holdout_identities
    return take_identities(images, 0, count)


def test_data(source: Source) -> tuple[ImageSet, ImageSet]:
    """The official query and gallery, decoded; for the final evaluation only."""
    return load_images(source.dataset.query, source.cache), load_images(source.dataset.gallery, source.cache)


def describe(images: ImageSet) -> str:
    """``"200 identities, 3402 images"``."""
    return f"{len(images.pids.unique())} identities, {len(images)} images"


def train_set_words(source: Source, images: ImageSet) -> str:
    """``"Market-1501: 200 identities, 3402 images"``."""
    return f"{source.dataset.name}: {describe(images)}"

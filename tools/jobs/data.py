"""The images of a job: located or generated, split by identity, decoded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluation.retrieval.matching import match
from evaluation.retrieval.rules import RECORDS
from reid.config import config_to_dict
from reid.data.cache import load_images
from reid.data.datasets.market1501 import find_market1501, read_market1501
from reid.data.datasets.registry import READERS, DatasetConfig, open_dataset
from reid.data.locate import folder_below
from reid.data.merge import merge_for_training
from reid.data.records import Dataset, ImageRecord, ImageSet
from reid.data.split import query_gallery_split, take_identities
from reid.data.synthetic import make_synthetic, picture_size, world_words
from reid.errors import UserError
from tools.jobs.experiment import WORKPLACE as ROOT
from tools.jobs.experiment import DataConfig

MADE_BY_US = "synthetic.json"
"""A folder with this file holds a synthetic set, whose counts differ from Market-1501's."""


@dataclass(frozen=True)
class Source:
    """An available data set.

    Attributes:
        dataset: its records.
        cache: folder of the decoded images.
        notice: a note for the user.
        also_train: data sets whose training images are also trained on.
        size: ``(height, width)`` at which images are stored; ``None`` for their own size.
        world: distinguishes a synthetic set from others with the same counts (``world_words``).
    """

    dataset: Dataset
    cache: Path
    notice: str | None = None
    also_train: tuple[Dataset, ...] = ()
    size: tuple[int, int] | None = None
    world: str = ""

    @property
    def name(self) -> str:
        """Names of the data sets that are trained on."""
        return " + ".join(dataset.name for dataset in (self.dataset, *self.also_train))

    def decode(self, records: Sequence[ImageRecord]) -> ImageSet:
        """The images of ``records``, from the cache if possible."""
        return load_images(records, self.cache, self.size)


@dataclass(frozen=True)
class SearchData:
    """Images for supernet and search: training identities, and the held-out ones as query and gallery."""

    train: ImageSet
    query: ImageSet
    gallery: ImageSet


def open_source(config: DataConfig, given: Path | None, size: tuple[int, int] | None = None) -> Source:
    """The data set that ``config`` names, at ``given`` or in the default places; the synthetic set is generated if
    needed.

    Args:
        config: the data set, and additional training sets.
        given: folder to search first, for all of them.
        size: ``(height, width)`` at which images are stored if the data sets have no common size; the network's.

    Raises:
        UserError: a data set is missing, incompletely extracted, or not at ``given``.
    """
    source = _open_main(config, given)
    others = tuple(_open_besides(each, given, source.cache) for each in config.also_train)
    sizes = {dataset.image_size for dataset in (source.dataset, *others)}
    stored = size if None in sizes or len(sizes) > 1 else None
    return replace(source, also_train=others, size=stored)


def _open_besides(config: DatasetConfig, given: Path | None, cache: Path) -> Dataset:
    """An additional training set: below ``given`` if it is there (``given`` may also be the main set's own folder),
    otherwise in the default places."""
    place = READERS[config.name].place
    there = place is not None and config.root is None and given is not None and folder_below(place, given) is not None
    return open_dataset(config, given if there else None, ROOT, cache)


def _open_main(config: DataConfig, given: Path | None) -> Source:
    cache = ROOT / "data" / "cache"
    if config.dataset is not None:
        return Source(open_dataset(config.dataset, given, ROOT, cache), cache)
    if config.name != "synthetic":
        found = find_market1501(given, ROOT)
        if found is not None:
            if not (found / MADE_BY_US).exists():
                return Source(read_market1501(found), cache)
            return Source(_synthetic(found), cache, world=world_words(found))
        if config.name == "market1501":
            raise UserError(
                "Market-1501 was not found under data/ or $REID_DATA; extract it there or name it with --data"
            )
    elif given is not None:
        raise UserError(
            f"--data {given}: the config asks for the synthetic set (data.name); leave --data out, or add --set "
            "data.name=auto"
        )
    key = hashlib.sha256(json.dumps(config_to_dict(config)["synthetic"]).encode()).hexdigest()[:10]
    folder = make_synthetic(ROOT / "data" / f"synthetic-{key}", config.synthetic)
    notice = None
    if config.name == "auto":
        notice = (
            "no Market-1501 under data/ or $REID_DATA: using the SYNTHETIC set; its scores say nothing about real data"
        )
    return Source(replace(_synthetic(folder), name="synthetic"), cache, notice, world=world_words(folder))


def _synthetic(folder: Path) -> Dataset:
    return replace(read_market1501(folder, check_counts=False), image_size=picture_size(folder))


def search_data(source: Source, config: DataConfig) -> SearchData:
    """Training and held-out identities, decoded. The test set is not read.

    Raises:
        UserError: there are fewer identities than ``config`` requests; then nothing is decoded.
    """
    identities, held = len(training_identities(source)), config.holdout_identities
    train = config.train_identities or identities - held
    if train < 2 or train + held > identities:
        raise _too_few(source, config, identities)
    images = source.decode(source.dataset.train)
    query, gallery = query_gallery_split(take_identities(images, train, held), source.dataset.has_cameras)
    return SearchData(take_identities(images, 0, train), query, gallery)


def retrain_data(source: Source, config: DataConfig) -> ImageSet:
    """The training images of stand-alone networks, decoded, followed by those of additional training sets.

    Raises:
        UserError: there are fewer identities than ``config`` requests; then nothing is decoded.
    """
    identities = training_identities(source)
    count = config.train_identities
    if count is None:
        count = len(identities) - (0 if config.retrain_on_holdout else config.holdout_identities)
    elif config.retrain_on_holdout:
        count += config.holdout_identities
    if not 0 < count <= len(identities):
        raise _too_few(source, config, len(identities))
    if not source.also_train:
        return take_identities(source.decode(source.dataset.train), 0, count)
    taken = set(identities[:count])
    own = replace(source.dataset, train=tuple(each for each in source.dataset.train if each.pid in taken))
    return source.decode(merge_for_training((own, *source.also_train)))


def training_identities(source: Source) -> list[int]:
    """Numbers of the persons available for training and holding out, in the order in which they are taken."""
    return sorted({record.pid for record in source.dataset.train})


def _too_few(source: Source, config: DataConfig, identities: int) -> UserError:
    asked = f"{config.train_identities} to train on" if config.train_identities else "at least 2 others to train on"
    return UserError(
        f"data: {config.holdout_identities} identities to hold out (data.holdout_identities) and {asked} "
        f"(data.train_identities) are requested, but {source.dataset.name} has {identities} besides those of its test; "
        "lower one of the two"
    )


def check_test(source: Source) -> None:
    """Raises UserError if the data set has only training images, or if no query has a right answer. For use before work
    that ends with a score on the test set."""
    _check_there(source)
    check_answers(source.dataset)


def check_answers(dataset: Dataset) -> None:
    """Raises UserError if no query has a right answer, so that query and gallery cannot be scored."""
    query, gallery = (
        ([record.pid for record in records], [record.camid for record in records])
        for records in (dataset.query, dataset.gallery)
    )
    matched = match(*query, *gallery, rule=RECORDS)
    _, _, passed_over = matched.same_identity(0, matched.queries)
    if passed_over.all():
        raise UserError(f"data set '{dataset.name}': {matched.nothing_right()}")


def _check_there(source: Source) -> None:
    if not source.dataset.has_test:
        raise UserError(
            f"data set '{source.dataset.name}' has no query and gallery, but the network is to be scored on them; add "
            "them, or evaluate single trainings on another data set (tools/evaluate.py RUN --dataset NAME=FOLDER)"
        )


def test_data(source: Source) -> tuple[ImageSet, ImageSet]:
    """The official query and gallery, decoded, for the final evaluation only; raises UserError if there are none."""
    _check_there(source)
    return source.decode(source.dataset.query), source.decode(source.dataset.gallery)


def describe(images: ImageSet) -> str:
    """``"200 identities, 3402 images"``."""
    return f"{len(images.pids.unique())} identities, {len(images)} images"


def train_set_words(source: Source, images: ImageSet) -> str:
    """``"Market-1501: 200 identities, 3402 images"``; for a synthetic set also what distinguishes it from others."""
    return ", ".join([f"{source.name}: {describe(images)}", *([source.world] if source.world else [])])

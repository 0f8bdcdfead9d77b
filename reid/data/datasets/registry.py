"""Data sets by name: their readers, their configuration, and ``open_dataset``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass as plain_dataclass
from dataclasses import fields
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator
from pydantic.dataclasses import dataclass

from reid.config import STRICT
from reid.data.datasets import cuhk01, cuhk03, market1501, msmt17
from reid.data.datasets.folder import read_folder
from reid.data.datasets.table import read_csv
from reid.data.locate import Place, locate_or_fail
from reid.data.records import Dataset
from reid.errors import UserError, nearest
from reid.numbers import Seed, Share, Whole


def _known(name: str) -> str:
    if name not in READERS:
        raise ValueError(f"there is no such data set{nearest(name, READERS)}; known: {', '.join(READERS)}")
    return name


@dataclass(frozen=True, config=STRICT)
class DatasetConfig:
    """Which data set, and how it is read. Options that the data set does not use must keep their defaults.

    Attributes:
        name: one of ``dataset_names()``.
        root: its folder, or a folder above it; for ``csv`` the file. None looks where ``reid.data.locate`` says.
        split: number of the split, from 0, where there are several (``split_count``).
        check_counts: compare with the official counts.
        validation: train on MSMT17's validation images too.
        pattern: for ``folder``: regular expression with the groups ``camid``, ``pid`` or both.
        test_share: for ``folder`` and ``csv`` without parts: share of the identities that are tested.
        seed: of the draw of those identities.
    """

    name: Annotated[str, AfterValidator(_known)]
    root: Path | None = None
    split: Whole = 0
    check_counts: bool = True
    validation: bool = True
    pattern: str | None = None
    test_share: Share = 0.5
    seed: Seed = 0


@plain_dataclass(frozen=True)
class Reader:
    """How one data set is opened.

    Attributes:
        read: takes its folder (or file), the configuration, and a folder for what must be extracted.
        place: how its folder is recognised; None where the configuration must name it.
        options: fields of ``DatasetConfig``, besides name and root, that it reads.
        splits: number of splits.
    """

    read: Callable[[Path, DatasetConfig, Path], Dataset]
    place: Place | None
    options: tuple[str, ...]
    splits: int = 1


def open_dataset(config: DatasetConfig, given: Path | None, root: Path, cache_dir: Path) -> Dataset:
    """Finds and reads a data set.

    Args:
        config: the data set and how to read it.
        given: folder to look in before all others (``--data``), unless ``config.root`` names one.
        root: the checkout; data sets are looked for in ``root / "data"`` last.
        cache_dir: folder for images that must be extracted from an archive (CUHK03).

    Raises:
        UserError: the data set is not found (the message says where it was looked for and what to extract there)
            or not complete, it does not use an option that is set, or the split does not exist.
    """
    reader = READERS[config.name]
    _check_options(config, reader)
    named = config.root.expanduser() if config.root is not None else None
    if reader.place is not None:
        folder = locate_or_fail(reader.place, named or given, root)
    elif named is not None:
        folder = named
    else:
        path = given or "PATH"  # ``--data`` is a place to look for data sets that are recognised by folder names
        cure = f"data.dataset.root={path}, or --dataset {config.name}={path} where a tool has that option"
        raise UserError(f"data set '{config.name}' needs root, the folder or file with the data: give {cure}")
    return reader.read(folder, config, cache_dir)


def dataset_names() -> tuple[str, ...]:
    """Names that ``DatasetConfig`` takes."""
    return tuple(READERS)


def split_count(name: str) -> int:
    """Number of splits of a data set; where there are several, published figures are means over them."""
    return READERS[name].splits


def opened_name(config: DatasetConfig) -> str:
    """The name of the opened data set (``Dataset.name``) without its variant: own data are named after their folder or
    file, others by their own name."""
    if READERS[config.name].place is not None or config.root is None:
        return config.name
    root = config.root.expanduser().resolve()
    return root.stem if config.name == "csv" else root.name


def _check_options(config: DatasetConfig, reader: Reader) -> None:
    for field in fields(DatasetConfig):
        if field.name in ("name", "root", *reader.options) or getattr(config, field.name) == field.default:
            continue
        options = ", ".join(("root", *reader.options))
        raise UserError(f"data set '{config.name}' has no option '{field.name}'; leave it out (its options: {options})")
    if config.split >= reader.splits:
        there = "it has only split 0" if reader.splits == 1 else f"give one from 0 to {reader.splits - 1}"
        raise UserError(f"data set '{config.name}' has no split {config.split}; {there}")


def _read_market_layout(root: Path, config: DatasetConfig, cache_dir: Path) -> Dataset:
    return market1501.read_market_layout(root, root.resolve().name, root.name, counts={})


def _new_cuhk03(kind: cuhk03.Kind) -> Reader:
    return Reader(
        read=lambda root, config, cache_dir: cuhk03.read_cuhk03_new(root, kind, cache_dir, config.check_counts),
        place=cuhk03.new_protocol_place(kind),
        options=("check_counts",),
    )


def _classic_cuhk03(kind: cuhk03.Kind) -> Reader:
    return Reader(
        read=lambda root, config, cache_dir: cuhk03.read_cuhk03_classic(
            root, kind, config.split, cache_dir, config.check_counts
        ),
        place=cuhk03.classic_place(),
        options=("split", "check_counts"),
        splits=cuhk03.CLASSIC_SPLITS,
    )


READERS: dict[str, Reader] = {
    "market1501": Reader(
        read=lambda root, config, cache_dir: market1501.read_market1501(root, config.check_counts),
        place=market1501.PLACE,
        options=("check_counts",),
    ),
    "cuhk03-np-detected": _new_cuhk03("detected"),
    "cuhk03-np-labeled": _new_cuhk03("labeled"),
    "cuhk03-classic-detected": _classic_cuhk03("detected"),
    "cuhk03-classic-labeled": _classic_cuhk03("labeled"),
    "cuhk01": Reader(
        read=lambda root, config, cache_dir: cuhk01.read_cuhk01(root, config.split, config.check_counts),
        place=cuhk01.PLACE,
        options=("split", "check_counts"),
        splits=cuhk01.SPLITS,
    ),
    "msmt17": Reader(
        read=lambda root, config, cache_dir: msmt17.read_msmt17(root, config.validation, config.check_counts),
        place=msmt17.PLACE,
        options=("validation", "check_counts"),
    ),
    "market-layout": Reader(read=_read_market_layout, place=None, options=()),
    "folder": Reader(
        read=lambda root, config, cache_dir: read_folder(root, config.pattern, config.test_share, config.seed),
        place=None,
        options=("pattern", "test_share", "seed"),
    ),
    "csv": Reader(
        read=lambda root, config, cache_dir: read_csv(root, config.test_share, config.seed),
        place=None,
        options=("test_share", "seed"),
    ),
}

"""Data sets for evaluation, by the names that a user gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

from reid.data.datasets.partition import partition_of
from reid.data.datasets.registry import DatasetConfig, dataset_names, split_count
from reid.errors import UserError, nearest
from tools.jobs.data import Source, open_source, test_data
from tools.jobs.experiment import DataConfig
from tools.jobs.paths import shown
from tools.jobs.runs.lineage import lineage
from tools.jobs.runs.trained_images import check_never_trained_on, holds_note

OWN = ("auto", "synthetic")
"""Names in ``DataConfig`` that are not in the registry."""


def open_test_sets(
    name: str | None,
    split: str | None,
    config: DataConfig,
    given: Path | None,
    size: tuple[int, int],
    trained: Sequence[DatasetConfig] | None = None,
) -> list[Source]:
    """The splits to evaluate on, usually one.

    Args:
        name: ``NAME`` or ``NAME=FOLDER``; ``None`` for the config's own data set.
        split: a number, or ``all``; ``None`` for the config's.
        config: the experiment's data.
        given: ``--data``.
        size: at which images of different sizes are stored.
        trained: data sets that the network was trained on, if known.

    Raises:
        UserError: the name or the split is unknown, the data are unavailable or have no test images, or their division
            differs from the training's, so that training persons would be tested.
    """
    config = config if name is None else named(name, config)
    if split is None:
        configs = [config]
    else:
        if config.dataset is None:
            raise UserError(f"--split {split}: data set '{config.name}' has only one split; leave --split out")
        count = split_count(config.dataset.name)
        chosen = range(count) if split == "all" else [_number(split)]
        configs = [replace(config, dataset=replace(config.dataset, split=number)) for number in chosen]
    for each in configs:
        check_strangers(each.dataset, trained)
    sources = [open_source(each, given, size) for each in configs]
    for source in sources:
        if not source.dataset.has_test:
            raise UserError(
                f"data set '{source.dataset.name}' has no query and gallery, so there is nothing to evaluate on; name "
                "another"
            )
    return sources


def check_strangers(tested: DatasetConfig | None, trained: Sequence[DatasetConfig] | None) -> None:
    """Raises UserError if persons that the network was trained on would be tested: ``tested`` is one of its training's
    data sets, or a variant of one, with other training persons."""
    for own in trained or ():
        if tested is not None and partition_of(tested).mixes_with(partition_of(own)):
            raise UserError(
                f"{dataset_words(tested)} tests persons that the network was trained on, by {dataset_words(own)}: "
                "score it on the data of its training; for a mean over splits, train a network on each split and "
                "score it there"
            )


def check_tested(run: Path, sources: Sequence[Source]) -> None:
    """Raises UserError if the network in ``run``, or one that contributed to it (``lineage``), was trained on images of
    persons that ``sources`` test, whatever the data set is called and however it is divided now."""
    check_all_tested({run: "", **lineage(run)}, sources)


def check_all_tested(runs: Mapping[Path, str], sources: Sequence[Source]) -> None:
    """``check_tested`` for networks by their run folders, each with its contribution to the network in question."""
    noted = {run: part for run, part in runs.items() if holds_note(run)}
    for source in sources if noted else ():
        parts = test_data(source)
        for run, part in noted.items():
            check_never_trained_on(run, source.dataset, "tested", *parts, part=part)


def dataset_words(config: DatasetConfig) -> str:
    """``"cuhk01 split 3"``: what determines the tested persons."""
    told = [config.name, *([f"in {shown(config.root)}"] if config.root else [])]
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name == "split" and split_count(config.name) > 1:
            told.append(f"split {value}")
        elif field.name in ("pattern", "test_share", "seed") and value != field.default:
            told.append(f"{field.name} {value}")
    return " ".join(told)


def named(text: str, config: DataConfig) -> DataConfig:
    """``config`` with its data set replaced by the one for ``NAME`` or ``NAME=FOLDER``.

    If this is the config's own data set, its options stay: with another pattern, share or seed than in the training,
    training persons would be tested.
    """
    name, given, folder = text.partition("=")
    if given and not folder:
        raise UserError(f"data set '{text}': there is no folder after the =; name it, or leave the = out")
    known = (*dataset_names(), *OWN)
    if name not in known:
        raise UserError(f"no data set is called '{name}'{nearest(name, known) or '; known: ' + ', '.join(known)}")
    if name in OWN:
        if folder:
            raise UserError(f"data set '{text}': {name} takes no folder; leave =FOLDER out")
        return replace(config, name=name, dataset=None, also_train=())
    root, own = Path(folder) if folder else None, config.dataset
    if own is not None and own.name == name and (root is None or _same(root, own.root)):
        return replace(config, also_train=())
    return replace(config, dataset=DatasetConfig(name, root=root), also_train=())


def _same(folder: Path, other: Path | None) -> bool:
    return other is not None and folder.expanduser().resolve() == other.expanduser().resolve()


def _number(split: str) -> int:
    if not split.isdecimal():
        raise UserError(f"--split {split}: must be a whole number or 'all'")
    return int(split)

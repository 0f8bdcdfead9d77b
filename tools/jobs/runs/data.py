"""The training data of a run, read from its folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reid.config import build_config, config_to_dict
from reid.data.datasets.registry import DatasetConfig
from reid.engine.runs.run_folder import CONFIG, first_difference
from reid.errors import UserError
from reid.files import read_yaml
from tools.jobs.experiment import DataConfig
from tools.jobs.job import Job
from tools.jobs.paths import shown


def data_of(run: Path) -> DataConfig:
    """The data configuration saved in a run folder. If the run took whatever data it found, the result names that data
    set, so that a different one found now cannot replace it.

    Raises:
        UserError: the run's configuration is missing, damaged or does not describe data.
    """
    path = run / CONFIG
    saved = read_yaml(path)
    if not isinstance(saved, dict) or not isinstance(saved.get("data"), dict):
        raise UserError(
            f"{shown(path)} does not say what the network was trained on; copy its weights to another folder, and "
            "name them there"
        )
    data = build_config(DataConfig, saved["data"], str(path))
    if data.dataset is not None:
        return data
    return dataclasses.replace(data, name="synthetic" if saved.get("dataset") == "synthetic" else "market1501")


def known_data(weights: Path) -> DataConfig | None:
    """``data_of`` the run that a weights file lies in; ``None`` if there is no run or its data cannot be read."""
    if weights.suffix != ".safetensors" or not (weights.parent / CONFIG).is_file():
        return None
    try:
        return data_of(weights.parent)
    except UserError:
        return None


def trained_on(weights: Path, supernet: bool = False) -> tuple[DatasetConfig, ...] | None:
    """The data sets on whose training persons a network was trained, according to its run; ``None`` if unknown.

    Synthetic persons belong to no data set and are left out.

    Args:
        weights: as for ``known_data``.
        supernet: the file holds a supernet, which is trained only on the first data set.
    """
    data = known_data(weights)
    if data is None:
        return None
    own = data.dataset or (None if data.name == "synthetic" else DatasetConfig("market1501"))
    return (*((own,) if own else ()), *(() if supernet else data.also_train))


def with_effect(saved: Mapping[str, Any]) -> dict[str, Any]:
    """A run's configuration without data settings that had no effect: how to make a synthetic set if none was used, and
    the name by which the set was requested, since ``dataset`` tells which one it was."""
    data = saved.get("data")
    if "dataset" not in saved or not isinstance(data, Mapping):
        return dict(saved)
    made = saved["dataset"] == "synthetic" and data.get("dataset") is None
    idle = ("name",) if made else ("name", "synthetic")
    return {**saved, "data": {key: value for key, value in data.items() if key not in idle}}


def names_data(job: Job) -> bool:
    """Whether the user specified the data, by ``--data``, ``--config`` or ``--set data...``."""
    return job.data is not None or _configures_data(job)


def _configures_data(job: Job) -> bool:
    return any(word == "--config" or word.startswith("data") for word in job.common)


def on_its_data(job: Job, source: Path) -> Job:
    """The job, moved to the data that ``source`` was trained on unless the user specified data; prints a line about it.

    A network is best evaluated where it was trained: the default config may name another data set, or a split whose
    held-out persons the network was trained on.

    Args:
        source: a run folder, or weights in one; for anything else the job is returned unchanged.

    Raises:
        UserError: the run's configuration is damaged.
    """
    run = source if source.is_dir() else source.parent
    weights = source.is_dir() or source.suffix == ".safetensors"
    if names_data(job) or not weights or not (run / CONFIG).is_file():
        return job
    print(f"data: as in {shown(run / CONFIG)}; --config, --data or --set data... select others")
    # Additional training sets need not be available: nothing is tested on them.
    return _with_data(job, dataclasses.replace(data_of(run), also_train=()))


def on_that_data_alone(job: Job, run: Path) -> Job:
    """The job on the data of the training in ``run``, including its additional training sets, for results that will
    claim to be trained on them, such as a mean of weights. ``--data``, or a root in the configuration, gives their
    current place.

    Raises:
        UserError: ``--config`` or ``--set`` names other data, or the run's configuration is damaged.
    """
    own, asked = data_of(run), job.experiment.data
    if not names_data(job):
        return _with_data(on_its_data(job, run), own)
    root, besides = job.data, own.also_train
    if _configures_data(job):
        difference = first_difference(_told(own, own.name), _told(asked, own.name), "data")
        if difference is None and asked.also_train:
            difference = first_difference(_besides(own), _besides(asked), "data")
        if difference:
            told = difference.replace(" then,", " there,").replace(" now", " here")
            raise UserError(
                f"{shown(run)} was trained on other data than the configuration sets ({told}); leave --config and "
                "--set data... out to use the data of the training"
            )
        root = root or (asked.dataset and asked.dataset.root)
        besides = asked.also_train or besides
    if own.dataset is not None and root is not None:
        own = dataclasses.replace(own, dataset=dataclasses.replace(own.dataset, root=root))
    return _with_data(job, dataclasses.replace(own, also_train=besides))


def _with_data(job: Job, data: DataConfig) -> Job:
    return dataclasses.replace(job, experiment=dataclasses.replace(job.experiment, data=data))


def _besides(data: DataConfig) -> dict[str, Any]:
    """The additional training sets, without their paths."""
    return {"also_train": [config_to_dict(dataclasses.replace(each, root=None)) for each in data.also_train]}


def _told(data: DataConfig, auto: str) -> dict[str, Any]:
    """What determines the persons for training and testing, without paths and additional training sets. ``auto`` is the
    name to use where ``data.name`` is ``auto``."""
    told = config_to_dict(dataclasses.replace(data, also_train=()))
    if data.dataset is not None:
        return {**told, "name": None, "synthetic": None, "dataset": {**told["dataset"], "root": None}}
    name = auto if data.name == "auto" else data.name
    return {**told, "name": name, "synthetic": told["synthetic"] if name == "synthetic" else None}

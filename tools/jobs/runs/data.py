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
    """What the run in a folder says of its data. Where it took what was there, it is that data set by its name: another
    that is there now is no substitute.

    Raises:
        UserError: the run's configuration is missing, damaged or of something else.
    """
    path = run / CONFIG
    saved = read_yaml(path)
    if not isinstance(saved, dict) or not isinstance(saved.get("data"), dict):
        raise UserError(f"{shown(path)} does not say what the network was trained on; name its weights elsewhere")
    data = build_config(DataConfig, saved["data"], str(path))
    if data.dataset is not None:
        return data
    return dataclasses.replace(data, name="synthetic" if saved.get("dataset") == "synthetic" else "market1501")


def known_data(weights: Path) -> DataConfig | None:
    """``data_of`` the run that a file of weights lies in; None where there is no run, or it does not say."""
    if weights.suffix != ".safetensors" or not (weights.parent / CONFIG).is_file():
        return None
    try:
        return data_of(weights.parent)
    except UserError:
        return None


def trained_on(weights: Path, supernet: bool = False) -> tuple[DatasetConfig, ...] | None:
    """The data sets whose training persons the network in a file has seen, as its run says; None where nothing says it.

    Synthetic persons, who are in no data set, are left out.

    Args:
        weights: as of ``known_data``.
        supernet: the file holds a supernet, which is trained on the first data set alone.
    """
    data = known_data(weights)
    if data is None:
        return None
    own = data.dataset or (None if data.name == "synthetic" else DatasetConfig("market1501"))
    return (*((own,) if own else ()), *(() if supernet else data.also_train))


def with_effect(saved: Mapping[str, Any]) -> dict[str, Any]:
    """A run's configuration without the settings of its data that had no part in them: how a synthetic set is made
    where none was taken, and by which name the set was asked for, as ``dataset`` tells which it was."""
    data = saved.get("data")
    if "dataset" not in saved or not isinstance(data, Mapping):
        return dict(saved)
    made = saved["dataset"] == "synthetic" and data.get("dataset") is None
    idle = ("name",) if made else ("name", "synthetic")
    return {**saved, "data": {key: value for key, value in data.items() if key not in idle}}


def names_data(job: Job) -> bool:
    """Whether the user has said what the data are."""
    return job.data is not None or _configures_data(job)


def _configures_data(job: Job) -> bool:
    return any(word == "--config" or word.startswith("data") for word in job.common)


def on_its_data(job: Job, source: Path) -> Job:
    """The job on the data that ``source`` was trained on, and said so, unless the user named any.

    A network is evaluated where it was trained: the default config's data may be another set, and held-out persons of
    another split may have been trained on.

    Args:
        source: a run folder, or weights in one; the job is left as it is for anything else.

    Raises:
        UserError: the run's configuration is damaged.
    """
    run = source if source.is_dir() else source.parent
    weights = source.is_dir() or source.suffix == ".safetensors"
    if names_data(job) or not weights or not (run / CONFIG).is_file():
        return job
    print(f"data: as {shown(run / CONFIG)} has them; --config, --data or --set data... name others")
    # Those that are trained on besides need not be there: nothing is tested on them.
    return _with_data(job, dataclasses.replace(data_of(run), also_train=()))


def on_that_data_alone(job: Job, run: Path) -> Job:
    """The job on the data that the training in ``run`` had, with those that it was trained on besides, for what is told
    to have been trained on them, as a mean of weights is. ``--data``, or the configuration's roots, say where they are
    by now.

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
                f"{shown(run)} was trained on other data than the configuration names ({told}); leave --config and "
                "--set data... out, and the data are those of the training"
            )
        root = root or (asked.dataset and asked.dataset.root)
        besides = asked.also_train or besides
    if own.dataset is not None and root is not None:
        own = dataclasses.replace(own, dataset=dataclasses.replace(own.dataset, root=root))
    return _with_data(job, dataclasses.replace(own, also_train=besides))


def _with_data(job: Job, data: DataConfig) -> Job:
    return dataclasses.replace(job, experiment=dataclasses.replace(job.experiment, data=data))


def _besides(data: DataConfig) -> dict[str, Any]:
    """The data sets that are trained on besides, wherever they lie."""
    return {"also_train": [config_to_dict(dataclasses.replace(each, root=None)) for each in data.also_train]}


def _told(data: DataConfig, auto: str) -> dict[str, Any]:
    """What says which persons are trained on and tested, wherever the data lie; ``auto`` is what ``data.name`` stands
    for where it is that. Those that are trained on besides are left out."""
    told = config_to_dict(dataclasses.replace(data, also_train=()))
    if data.dataset is not None:
        return {**told, "name": None, "synthetic": None, "dataset": {**told["dataset"], "root": None}}
    name = auto if data.name == "auto" else data.name
    return {**told, "name": name, "synthetic": told["synthetic"] if name == "synthetic" else None}

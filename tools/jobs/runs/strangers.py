"""Whether a network and its teachers have never seen the held-out persons, according to the run folders."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reid.config import build_config
from reid.data.datasets.registry import DatasetConfig, opened_name
from reid.engine.runs.checkpoint import read_about
from reid.engine.runs.run_folder import CONFIG
from reid.errors import UserError
from reid.files import expecting, read_mapping, read_yaml
from supernet.trained import network_file
from tools.jobs.data import Source
from tools.jobs.experiment import DataConfig
from tools.jobs.runs.moved import TEACHER_SHA256
from tools.jobs.runs.provenance import sha256
from tools.jobs.runs.supernets import inherited_run

CURE = "restore it, or train another"

AVERAGED = "averaged"
"""Key of the configuration of a mean of trainings (``tools/average.py``): one entry per training, with its teachers'
names and digests."""

TEACHER = "teacher"
"""Key for the teacher in a recipe's distillation, and in each entry of ``AVERAGED``."""


def never_saw(run: Path, source: Source, config: DataConfig, supernet: bool) -> bool:
    """Whether the network or supernet in ``run`` is known to have learnt nothing about the persons that ``config``
    holds out: neither it (``never_trained_on``) nor any of its teachers was trained on them. For a mean of trainings,
    the teachers of all of them count."""
    if not never_trained_on(run, source, config, supernet) or unsure_teachers(run, source, config):
        return False
    return _known_members(run, source, config)


def unsure_teachers(run: Path, source: Source, config: DataConfig) -> list[str]:
    """Teachers of the network or supernet in ``run`` that may have seen the persons that ``config`` holds out. A
    teacher counts as unsure if it is missing, or if its weights' SHA-256 has changed.

    Raises:
        UserError: the run's configuration is damaged.
    """
    path = run / CONFIG
    saved = read_mapping(path, CURE) if path.is_file() else {}
    with expecting(path, CURE):
        taught_by = [each for part in (saved, saved.get("supernet") or {}) for each in teachers(part)]
        digests = teacher_digests(saved)
    return unsure_of(taught_by, source, config, digests)


def unsure_of(
    teachers: Iterable[str], source: Source, config: DataConfig, digests: Collection[str] | None = None
) -> list[str]:
    """Those of ``teachers`` that may have seen the persons that ``config`` holds out, including any that is missing or,
    if ``digests`` are given, whose weights' SHA-256 is not among them."""

    def known(teacher: str) -> bool:
        try:
            weights = network_file(teacher, supernet=True)
            if digests is not None and sha256(weights) not in digests:
                return False
            supernet = read_about(weights).get("kind") == "supernet"
            return never_saw(weights.parent, source, config, supernet)
        except (UserError, FileNotFoundError):
            return False

    return [teacher for teacher in teachers if not known(teacher)]


def teachers(part: Mapping[str, Any]) -> Iterator[str]:
    """Names of the teachers in a configuration that has a recipe at ``recipe``."""
    for key in ("recipe", "losses", "distillation"):
        part = part.get(key) or {}
    yield from named(part.get(TEACHER))


def teacher_digests(told: Mapping[str, Any]) -> list[str]:
    """SHA-256 digests of the teachers' weights in a run's configuration, or in one entry of ``AVERAGED``."""
    return [digest for digest in str(told.get(TEACHER_SHA256) or "").split(", ") if digest]


def named(teachers: str | Iterable[str] | None) -> list[str]:
    """The value of a recipe's teacher key, which may be one name, several or none, as a list of names."""
    return [teachers] if isinstance(teachers, str) else list(map(str, teachers or ()))


def never_trained_on(run: Path, source: Source, config: DataConfig, supernet: bool) -> bool:
    """Whether the network in ``run`` is known not to have been trained on the config's held-out identities: because its
    own configuration holds them out too, or because it was trained on other data sets. Variants of a data set
    (``cuhk03-...``) count as the same set.

    Nothing is known about a network that started from weights other than ImageNet's or a supernet's. For a supernet,
    its own configuration decides."""
    if not (run / CONFIG).is_file():
        return False
    saved = read_yaml(run / CONFIG)
    data = saved.get("data") if isinstance(saved, dict) else None
    if not isinstance(data, dict) or not _begun_among_strangers(saved.get("weights"), source, config):
        return False
    with expecting(run / CONFIG):
        others = [build_config(DatasetConfig, each, str(run / CONFIG)) for each in data.get("also_train") or ()]
    trained = [str(saved.get("dataset")), *map(opened_name, others)]
    if _stem(source.dataset.name) not in map(_stem, trained):
        return True
    alike = all(data.get(key) == getattr(config, key) for key in ("train_identities", "holdout_identities"))
    return alike and (supernet or not data.get("retrain_on_holdout", True))


def _begun_among_strangers(weights: str | None, source: Source, config: DataConfig) -> bool:
    """Whether the initial weights of a training had not seen the held-out identities. If the supernet that they came
    from is gone, the answer is true: the heir's own data decide."""
    supernet = inherited_run(weights)
    if supernet is None:
        return weights in (None, "imagenet")
    return not (supernet / CONFIG).is_file() or never_saw(supernet, source, config, supernet=True)


def _stem(name: str) -> str:
    return name.split("-")[0]


def _known_members(run: Path, source: Source, config: DataConfig) -> bool:
    """Whether, if the network in ``run`` is a mean of trainings, all their teachers are known not to have seen the
    held-out persons. For networks of the zoo and means of earlier versions, the teachers are not recorded."""
    path = run / CONFIG
    saved = read_mapping(path, CURE)
    with expecting(path, CURE):
        for each in saved.get(AVERAGED) or ():
            digests = teacher_digests(each)
            if TEACHER not in each or unsure_of(named(each[TEACHER]), source, config, digests):
                return False
    return True

"""Whether the held-out persons are strangers to a network, as the folder of its run tells."""

from __future__ import annotations

from pathlib import Path

from reid.config import build_config
from reid.data.datasets.registry import DatasetConfig, opened_name
from reid.engine.runs.run_folder import CONFIG
from reid.files import expecting, read_yaml
from tools.jobs.data import Source
from tools.jobs.experiment import DataConfig
from tools.jobs.runs.supernets import inherited_run


def never_trained_on(run: Path, source: Source, config: DataConfig, supernet: bool) -> bool:
    """Whether the config's held-out identities are known to be strangers to the network in ``run``: its own
    configuration says so, or it was trained on other data sets. Variants of one data set (``cuhk03-...``) are one.

    A network that began with another's weights has seen that one's persons, who are not known; unless the weights are
    ImageNet's, or a supernet's, whose persons its own configuration tells."""
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
    """Whether what a training began with had not seen the held-out identities; of a supernet that is not there any
    more its inheritor's own data tell."""
    supernet = inherited_run(weights)
    if supernet is None:
        return weights in (None, "imagenet")
    return not (supernet / CONFIG).is_file() or never_trained_on(supernet, source, config, supernet=True)


def _stem(name: str) -> str:
    return name.split("-")[0]

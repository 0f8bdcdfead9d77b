"""The persons that a search scores candidates on, and checks that its supernet and teachers never saw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reid.config import build_config, config_to_dict
from reid.engine.recipe import Recipe
from reid.engine.runs.run_folder import CONFIG
from reid.errors import UserError
from reid.files import read_mapping
from tools.jobs.data import Source, training_identities
from tools.jobs.experiment import DataConfig
from tools.jobs.paths import shown
from tools.jobs.runs.data import with_effect
from tools.jobs.runs.strangers import unsure_of, unsure_teachers

CURE = "restore it, or train another supernet"

_OF_RETRAINING = ("also_train", "retrain_on_holdout")
_COUNTS = ("train_identities", "holdout_identities")


def persons_of(source: Source, config: DataConfig) -> dict[str, Any]:
    """The data settings that decide which images calibrate a search's BN and which persons score its candidates; a
    resumed search must have the same."""
    return _deciding(source.dataset.name, config_to_dict(config))


def check_strangers(run: Path, source: Source, config: DataConfig) -> str | None:
    """A warning if it is unknown whether the supernet in ``run`` was trained on the identities that ``config`` holds
    out, otherwise ``None``.

    Raises:
        UserError: it was trained on some of them, or its configuration is damaged.
    """
    path = run / CONFIG
    unknown = f"the supernet in {shown(run)} may have seen the held-out identities"
    if not path.is_file():
        return f"{unknown}: it has no {CONFIG}"
    saved = read_mapping(path, CURE)
    name, data = saved.get("dataset"), saved.get("data")
    if not isinstance(name, str) or not isinstance(data, Mapping):
        return f"{unknown}: its {CONFIG} does not say"
    if name.split("-")[0] != source.dataset.name.split("-")[0]:  # variants (cuhk03-...) share their persons
        return None
    then = build_config(DataConfig, data, str(path))
    settings = (_deciding(name, config_to_dict(then)), persons_of(source, config))
    alike = [{key: value for key, value in each.items() if key not in _COUNTS} for each in settings]
    if name != source.dataset.name or alike[0] != alike[1]:
        return f"{unknown}: it was trained on another split or variant of {source.dataset.name}"
    trained, first = (_training_identities(source, each) for each in (then, config))
    if trained > first:
        both = min(trained - first, config.holdout_identities)
        raise UserError(
            f"the supernet in {shown(run)} was trained on {both} of the {config.holdout_identities} held-out "
            f"identities; give data.train_identities and data.holdout_identities as in {shown(path)}, or train another"
        )
    return None


def check_teachers(run: Path, source: Source, config: DataConfig) -> str | None:
    """A warning if a teacher of the supernet in ``run`` may have seen the identities that ``config`` holds out, since
    scores on them favour archs that resemble the teacher; otherwise ``None``.

    Raises:
        UserError: the supernet's configuration is damaged.
    """
    return _doubt(f"the supernet in {shown(run)} was", unsure_teachers(run, source, config))


def doubts_of_trainings(recipe: Recipe, called: str, source: Source, config: DataConfig) -> str | None:
    """The same warning for networks, named ``called`` in the plural, that ``recipe`` will train to be scored so."""
    return _doubt(f"{called} are", unsure_of(recipe.losses.distillation.teachers, source, config))


def _doubt(whom: str, unsure: Sequence[str]) -> str | None:
    if not unsure:
        return None
    return f"{whom} taught by {' and '.join(unsure)}, which may have seen the held-out identities"


def _deciding(dataset: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The data settings that matter for a supernet and its search, without the data set's path."""
    kept = with_effect({"dataset": dataset, "data": data})["data"]
    if kept["dataset"] is not None:
        kept["dataset"] = {key: value for key, value in kept["dataset"].items() if key != "root"}
    return {key: value for key, value in kept.items() if key not in _OF_RETRAINING}


def _training_identities(source: Source, config: DataConfig) -> int:
    """The number of identities, counted from the first, that train a supernet."""
    return config.train_identities or len(training_identities(source)) - config.holdout_identities

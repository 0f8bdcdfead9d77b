"""The last sections of a run's page: the command and the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from evaluation.report.html import Section
from reid.config import config_to_dict
from tools.jobs.experiment import Experiment
from tools.jobs.runs.provenance import made_by

USED = ("data", "input_size", "space", "last_stride", "retrain")


def ending(settings: Mapping[str, Any]) -> tuple[Section, Section]:
    """The command with its commit, and the settings as YAML."""
    text = yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True).rstrip()
    return Section("Command", code=made_by()), Section("Settings", code=text)


def used_settings(experiment: Experiment, search: Sequence[str]) -> dict[str, Any]:
    """The settings of an experiment that stand-alone trainings depend on, and the given keys of ``search``. A
    supernet's own settings are in its run."""
    whole = config_to_dict(experiment)
    return {key: whole[key] for key in USED} | {"search": {key: whole["search"][key] for key in search}}

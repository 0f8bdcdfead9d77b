"""Saved configurations of earlier runs, read by the current version of the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from reid.config import build_config, config_to_dict
from reid.engine.recipe import Recipe
from reid.files import read_mapping
from reid.models.heads import HeadConfig
from search.config import SearchConfig
from supernet.training import SupernetRecipe
from tools.jobs.experiment import DataConfig

_KINDS = {"data": DataConfig, "supernet": SupernetRecipe, "search": SearchConfig, "recipe": Recipe}


CURE = "restore it, or train into another folder"
"""Cure of a damaged configuration: its content is lost, so the run cannot be resumed."""


def read_saved(path: Path, cure: str = CURE) -> dict[str, Any]:
    """The mapping in a YAML file. Configuration keys that were added after it was written get their defaults, by which
    the run was in effect begun.

    Raises:
        UserError: the file is unreadable (the message ends with ``cure``), or a configuration in it has a key or value
            that no longer exists.
    """
    saved = read_mapping(path, cure)
    for name, kind in _KINDS.items():
        if isinstance(saved.get(name), dict):
            saved[name] = config_to_dict(build_config(kind, saved[name], f"{path}: {name}"))
    network = saved.get("network")
    if isinstance(network, dict) and isinstance(network.get("head"), dict):
        network["head"] = config_to_dict(build_config(HeadConfig, network["head"], f"{path}: network.head"))
    # In the file's order, so that the first difference reported is the first in the file.
    return yaml.safe_load(yaml.safe_dump(saved, sort_keys=False))

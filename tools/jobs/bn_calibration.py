"""How BN of networks extracted from a supernet was calibrated, as recorded in files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reid.config import config_to_dict
from reid.data.augment import AugmentConfig
from tools.jobs.experiment import Experiment

CALIBRATION = "calibration"
"""Key under which a file stores the result of ``calibrated_by``."""

_KEYS = ("calibration_images", "calibration_batches", "calibration_batch_size")


def calibrated_by(experiment: Experiment, seed: int) -> dict[str, Any]:
    """The settings that determine the images for BN calibration, by the names that users know."""
    keys = {key: getattr(experiment.search, key) for key in _KEYS}
    return {**keys, "seed": seed, **augmented_otherwise(experiment)}


def augmented_otherwise(experiment: Experiment) -> dict[str, Any]:
    """The augmentation of calibration images, if they are augmented and it differs from the default."""
    if experiment.search.calibration_images == "plain":
        return {}
    usual, own = (config_to_dict(each) for each in (AugmentConfig(), experiment.supernet.recipe.augment))
    changed = {name: value for name, value in own.items() if value != usual[name]}
    return {"calibration_augment": changed} if changed else {}


def calibrated_otherwise(kept: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str | None:
    """The first setting that differs, with both values, in words; ``None`` if none does.

    Args:
        kept: recorded settings; ``None`` for files from before images could be chosen, whose images were plain and
            whose other settings are unknown.
        now: the result of ``calibrated_by``.
    """
    then = now | {"calibration_images": "plain"} if kept is None else kept
    wrong = next((key for key in {**now, **then} if then.get(key) != now.get(key)), None)
    return wrong and f"{wrong} was {then.get(wrong)} and is {now.get(wrong)} now"

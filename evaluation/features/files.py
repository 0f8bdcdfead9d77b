"""The ``.npz`` file that keeps features of a query and a gallery with their labels."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluation.retrieval.labeled_features import LabeledFeatures, RetrievalFeatures
from evaluation.retrieval.rules import MARKET1501, MatchRule
from reid.config import build_config, config_to_dict
from reid.data.records import NO_CAMERA
from reid.errors import UserError
from reid.files import write_atomic

SIDES = ("query", "gallery")


def save_features(path: Path, features: RetrievalFeatures) -> Path:
    """Writes a feature file (``docs/evaluation.md`` describes it), atomically.

    Raises:
        UserError: ``path`` does not end in ``.npz``.
    """
    if path.suffix != ".npz":
        raise UserError(f"feature file {path}: must end in .npz")
    about = {
        **features.about,
        "rule": config_to_dict(features.rule),
        "single_gallery_shot": features.single_gallery_shot,
    }
    arrays = {"about": np.array(json.dumps(about))}
    for name in SIDES:
        side: LabeledFeatures = getattr(features, name)
        arrays[f"{name}_features"] = side.features.detach().cpu().numpy()
        arrays[f"{name}_pids"] = side.pids.numpy()
        arrays[f"{name}_camids"] = side.camids.numpy()
        if side.ids is not None:
            arrays[f"{name}_ids"] = np.asarray(side.ids)
    return write_atomic(path, lambda temporary: np.savez(temporary, **arrays))


def load_features(path: Path) -> RetrievalFeatures:
    """Reads a feature file; nothing in it is executed.

    If ``about`` names no rule (a file of another program), labels are read as in Market-1501: -1 is junk, 0 a
    distractor, every camera number a camera. Without ``camids`` there are no cameras.

    Raises:
        UserError: the file is missing or of another kind, or an array is missing, of wrong shape or kind, or holds NaN.
    """
    arrays = _read(path)
    about = _about(path, arrays)
    rule = about.pop("rule", None)
    single = about.pop("single_gallery_shot", False)
    if not isinstance(single, bool):
        raise UserError(f"feature file {path}: single_gallery_shot must be true or false, got {json.dumps(single)}")
    sides = [_side(path, arrays, name) for name in SIDES]
    widths = [side.features.shape[1] for side in sides]
    if widths[0] != widths[1]:
        raise UserError(
            f"feature file {path}: query features have {widths[0]} numbers, gallery features {widths[1]}; save both "
            "from one network"
        )
    if (sides[0].ids is None) != (sides[1].ids is None):
        raise UserError(f"feature file {path}: give query_ids and gallery_ids, or neither")
    if rule is not None:
        rule = build_config(MatchRule, _mapping(path, rule), f"feature file {path}: rule")
    else:
        rule = MARKET1501
    cameras = [f"{name}_camids" in arrays for name in SIDES]
    if cameras[0] != cameras[1]:
        raise UserError(f"feature file {path}: give query_camids and gallery_camids, or neither")
    if not cameras[0]:
        rule = replace(rule, same_camera_is_junk=False)
    return RetrievalFeatures(*sides, rule, single, about)


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise UserError(f"{path} is a single array, not a feature file; docs/evaluation.md describes the format")
        with file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise UserError(f"feature file {path} does not exist") from None
    except UserError:
        raise
    except Exception as error:  # numpy, zipfile and zlib have no common one for a damaged file
        reason = error if zipfile.is_zipfile(path) else "not an archive of arrays as numpy.savez writes them"
        raise UserError(f"{path} is not a readable feature file ({reason}); save the features again") from None


def _about(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    if "about" not in arrays:
        return {}
    try:
        return dict(_mapping(path, json.loads(str(arrays["about"]), parse_constant=_no_number)))
    except ValueError:  # JSON has neither NaN nor infinity, so score.json could not hold them
        raise UserError(f"feature file {path}: about is not valid JSON; save the features again") from None


def _no_number(constant: str) -> None:
    raise ValueError(constant)


def _mapping(path: Path, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UserError(f"feature file {path}: about and the rule in it must be JSON objects")
    return value


def _side(path: Path, arrays: Mapping[str, np.ndarray], name: str) -> LabeledFeatures:
    for key in (f"{name}_features", f"{name}_pids"):
        if key not in arrays:
            found = ", ".join(arrays) or "nothing"
            raise UserError(f"feature file {path} has no {key}; it contains {found}")
    features = arrays[f"{name}_features"]
    if features.ndim != 2 or features.dtype.kind != "f" or not features.size:
        raise UserError(
            f"feature file {path}: {name}_features must be floats of shape (images, numbers), got {features.dtype} of "
            f"shape {features.shape}"
        )
    with np.errstate(over="ignore"):
        features = features.astype(np.float32)
    if not np.isfinite(features).all():
        raise UserError(
            f"feature file {path}: {name}_features contain NaN or infinite values: their network's training diverged; "
            "train it again"
        )
    count = len(features)
    pids = _labels(path, f"{name}_pids", arrays[f"{name}_pids"], count)
    camids = arrays.get(f"{name}_camids")
    camids = torch.full_like(pids, NO_CAMERA) if camids is None else _labels(path, f"{name}_camids", camids, count)
    ids = arrays.get(f"{name}_ids")
    if ids is not None and ids.shape != (count,):
        raise UserError(f"feature file {path}: {name}_ids has shape {ids.shape}, but there are {count} features")
    return LabeledFeatures(torch.from_numpy(features), pids, camids, ids)


def _labels(path: Path, key: str, values: np.ndarray, count: int) -> torch.Tensor:
    if values.shape != (count,):
        raise UserError(f"feature file {path}: {key} has shape {values.shape}, but there are {count} features")
    if values.dtype.kind not in "iu":
        raise UserError(f"feature file {path}: {key} must be whole numbers, got {values.dtype}")
    return torch.from_numpy(values.astype(np.int64))

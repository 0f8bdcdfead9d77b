"""Files that a training started from or learnt from, identified by SHA-256 even if they have moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SUPERNET_SHA256 = "supernet_sha256"
"""Key of a run's configuration: SHA-256 of the supernet's weights that it started from."""

WEIGHTS_SHA256 = "weights_sha256"
"""Key of a run's configuration: SHA-256 of the file given as ``--weights``, if it started from one."""

TEACHER_SHA256 = "teacher_sha256"
"""Key of a run's configuration: SHA-256 of its teachers' weights."""


def where_they_are(saved: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration ``saved`` of a run, with the current paths from ``now``, a configuration of the same form.

    A path of initial weights or of a teacher is replaced if its SHA-256 is the same in both. If either records no
    SHA-256, the saved path stays."""
    found = dict(saved)
    begun_alike = any(_same(key, saved, now) for key in (SUPERNET_SHA256, WEIGHTS_SHA256))
    if begun_alike and saved.get("weights") and now.get("weights"):
        found["weights"] = now["weights"]
    if _same(TEACHER_SHA256, saved, now):
        for part in ("recipe", "supernet"):  # a network's training, and a supernet's
            then, given = (each.get(part) for each in (saved, now))
            if isinstance(then, Mapping) and isinstance(given, Mapping):
                found[part] = _with_teacher(then, given)
    return found


def _same(key: str, saved: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return bool(now.get(key)) and saved.get(key) == now[key]


def _with_teacher(then: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    if "recipe" in then:
        return {**then, "recipe": _with_teacher(then["recipe"], given["recipe"])}
    losses = then["losses"]
    teacher = given["losses"]["distillation"]["teacher"]
    teacher = list(teacher) if isinstance(teacher, tuple) else teacher  # several teachers are a list in YAML
    return {**then, "losses": {**losses, "distillation": {**losses["distillation"], "teacher": teacher}}}

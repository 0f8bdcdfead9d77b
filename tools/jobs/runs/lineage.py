"""Lineage of a network: the runs whose weights it started from or was distilled from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reid.engine.runs.run_folder import CONFIG
from reid.errors import UserError
from reid.files import expecting, read_mapping
from supernet.trained import network_file
from tools.jobs.paths import shown
from tools.jobs.runs.moved import SUPERNET_SHA256, WEIGHTS_SHA256
from tools.jobs.runs.provenance import sha256
from tools.jobs.runs.strangers import AVERAGED, CURE, TEACHER, named, teacher_digests, teachers
from tools.jobs.runs.supernets import PREFIX


def lineage(run: Path) -> dict[Path, str]:
    """Folders of the networks that contributed to the one in ``run``, directly or through others, each with a phrase
    that says how. Networks whose weights are missing or have changed are left out, since nothing is known about them.

    Raises:
        UserError: one of the configurations is damaged.
    """
    path = run / CONFIG
    return lineage_of(read_mapping(path, CURE), path, shown(run)) if path.is_file() else {}


def lineage_of(saved: Mapping[str, Any], path: Path, called: str) -> dict[Path, str]:
    """``lineage`` of a training by its configuration ``saved``, which may be that of a training yet to begin.

    Args:
        path: of the configuration, for error messages.
        called: what to call the training in the phrases.
    """
    found: dict[Path, str] = {}
    told = [(saved, path, called)]
    for saved, path, called in told:  # the list grows meanwhile
        with expecting(path, CURE):
            parts = list(_parts(saved))
        for name, digests, part in parts:
            weights = _weights(name, digests)
            if weights is None or weights.parent in found:
                continue
            run = weights.parent
            found[run] = part.format(called)
            if (run / CONFIG).is_file():
                told.append((read_mapping(run / CONFIG, CURE), run / CONFIG, shown(run)))
    return found


def _parts(saved: Mapping[str, Any]) -> Iterator[tuple[str, list[str], str]]:
    """Names of weights as the user gave them, their accepted SHA-256 digests (empty: not recorded), and their role."""
    begun = saved.get("weights")
    if begun and begun != "imagenet":
        digests = [str(saved[key]) for key in (WEIGHTS_SHA256, SUPERNET_SHA256) if key in saved]
        yield str(begun).removeprefix(PREFIX), digests, "{} began with its weights"
    for part in (saved, saved.get("supernet") or {}):  # a network's training, and a supernet's
        for name in teachers(part):
            yield name, teacher_digests(saved), "it taught {}"
    for member in saved.get(AVERAGED) or ():
        for name in named(member.get(TEACHER)):
            yield name, teacher_digests(member), "it taught a training that {} is the mean of"


def _weights(name: str, digests: list[str]) -> Path | None:
    try:
        weights = network_file(name, supernet=True)
        return weights if not digests or sha256(weights) in digests else None
    except (UserError, OSError):
        return None

"""The stored settings of a search: which may change on resuming, and which do not fit together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reid.config import config_to_dict
from reid.engine.runs.run_folder import taken
from reid.errors import UserError, nearest
from reid.files import read_mapping, write_json
from search.arch_files import archs_before
from search.asked import Asked
from search.config import SearchConfig
from search.folder import LOG, SUMMARY
from search.front import COSTS, cost_fields
from search.history import Candidate, recover_candidates
from search.proposers import STRATEGIES
from supernet.arch import INVERTED_RESIDUAL
from supernet.space import Space

# What a resumed search may change: no part in which archs are proposed or how they score. The limits are kept as read;
# where memory ran out, fewer images a forward pass are how a search goes on.
_FREE = ("flops", "latency", "parameters", "trials", "time", "finalists", "top_k", "name_prefix", "eval_batch_size")

_AT_FIRST = {"front": None, "learn_from": [], "calibration_images": "plain"}
"""Keys that were added later, with the value that earlier searches implied. With that value they are not stored, so
that earlier searches can be resumed, and a search with any other value is noticed."""


def check_strategy(strategy: str, config: SearchConfig) -> None:
    """Raises UserError if the strategy is unknown or does not fit the config."""
    if strategy not in STRATEGIES:
        hint = nearest(strategy, STRATEGIES) or f"; known: {', '.join(STRATEGIES)}"
        raise UserError(f"strategy '{strategy}' is unknown{hint}")
    if strategy == "random" and config.screen > 1:
        raise UserError(
            f"search.screen={config.screen} is for evolution and pareto, not for random search; set it to 1"
        )
    if strategy == "pareto" and config.finalists.count:
        raise UserError(
            f"search.finalists.count={config.finalists.count} is for evolution and random: pareto finds a whole front, "
            "in which no arch is the best; set it to 0"
        )
    if strategy != "pareto" and config.front is not None:
        cure = "leave it out, or search with --strategy pareto"
        raise UserError(f"search.front={','.join(config.front)} is for pareto, not {strategy}: {cure}")


def settings_of(asked: Asked) -> dict:
    """All settings that determine which candidates a search proposes and how they score, as read back from JSON."""
    kept = {key: value for key, value in config_to_dict(asked.config).items() if key not in (*_FREE, "front")}
    kept |= _front(asked.config)
    depends = {key: value for key, value in asked.origin.items() if key != "commit"}
    own = {"space": space_settings(asked.space), "strategy": asked.strategy, "seed": asked.seed}
    own |= {f"limit_{name}": limit for name, limit in asdict(asked.limits).items()}
    persons = {} if asked.data is None else {"data": dict(asked.data)}
    settings = json.loads(json.dumps({**own, **kept, **persons, "origin": depends}))
    return {key: value for key, value in settings.items() if key not in _AT_FIRST or value != _AT_FIRST[key]}


def _front(config: SearchConfig) -> dict[str, Sequence[str]]:
    """The costs by name, in the order of ``COSTS``; empty if the search does not choose them, as in searches that
    were begun before they could be chosen."""
    default, fields = (cost_fields(front, config.target is not None) for front in (None, config.front))
    return {} if fields == default else {"front": [name for name, field in COSTS.items() if field in fields]}


def space_settings(space: Space) -> dict:
    """The fields of ``space``, and of each stage the kind of its blocks where it is another than the first there was.

    Stems at their default are left out, so that searches begun before stems could be chosen can be resumed.
    """
    fields = asdict(space)
    for stage, own in zip(space.stages, fields["stages"], strict=True):
        own |= {} if stage.kind == INVERTED_RESIDUAL else {"block": stage.kind}
    stems = ("stem_kernels", "stem_pool")
    return {key: value for key, value in fields.items() if key not in stems or value != getattr(Space, key)}


def is_begun(out: Path) -> bool:
    """Whether there is a search in ``out``, finished or not."""
    return (out / SUMMARY).exists() or (out / LOG).exists()


def check_free(out: Path, resume: bool) -> None:
    """Raises UserError where there is a search in ``out`` and ``resume`` is not set."""
    if is_begun(out) and not resume:
        raise taken(out, "a search")


def open_search(out: Path, settings: dict, resume: bool) -> list[Candidate]:
    """The candidates so far, of a search that was not begun none; the folder is made ready for more.

    Raises:
        UserError: there is a search, and ``resume`` is not set or it was begun with other settings.
    """
    check_free(out, resume)
    if is_begun(out):
        before = read_mapping(out / SUMMARY, "restore it, or give another --out").get("settings")
        before = before if isinstance(before, dict) else {}
        before = _AT_FIRST | _where_they_are(before, settings)
        for name, value in (_AT_FIRST | settings).items():
            if name == "data" and name not in before:  # of a search that was begun before its data were kept
                continue
            if before.get(name) != value:
                key, had, given = _difference(name, before.get(name), value)
                what = f"another {key} ({_short(had)}, now {_short(given)})"
                raise UserError(f"the search in {out} was started with {what}; give the same, or another --out")
    history = recover_candidates(out / LOG)
    # By these names the archs of before are removed when there are new ones, which may be called otherwise.
    write_json(out / SUMMARY, {"finished": False, "former": archs_before(out), "settings": settings})
    return history


def _where_they_are(before: dict, now: dict) -> dict:
    """``before`` with the paths that ``now`` has for the supernet and the rankings, where these are the same by their
    SHA-256: files that were moved."""
    then, given = (each.get("origin") for each in (before, now))
    if not isinstance(then, dict) or not isinstance(given, dict):
        return before
    same = {key for key, digest in given.items() if digest and then.get(key) == digest}
    if "supernet_sha256" in same and "supernet" in given:
        before = {**before, "origin": {**then, "supernet": given["supernet"]}}
    if "learnt_from_sha256" in same and "learn_from" in now:
        before = {**before, "learn_from": now["learn_from"]}
    return before


def _difference(name: str, had: Any, given: Any) -> tuple[str, Any, Any]:
    """The first difference between two unequal values: its full name, ``origin.dataset``, and both values."""
    if isinstance(had, dict) and isinstance(given, dict):
        key = next(key for key in {**had, **given} if had.get(key) != given.get(key))
        return _difference(f"{name}.{key}", had.get(key), given.get(key))
    return name, had, given


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

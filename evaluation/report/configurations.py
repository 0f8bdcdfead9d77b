"""The configurations of compared runs: their differences, and what they have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from evaluation.report.html import Section, Words

HEADING = "Configuration"
ABSENT = "-"
ELSEWHERE = ("seed", "recipe.source", "supernet_sha256")
"""Keys that the table shows already, or that mean nothing by themselves."""

STRIDE = "network.last_stride"
"""The only setting within ``network``; the rest describes the network itself."""


def configuration_section(names: Sequence[str], configs: Sequence[Mapping[str, Any] | None]) -> Section | None:
    """A table of the keys in which the runs differ, a column a run, and below it what all of them have, folded.

    Args:
        names: of the runs.
        configs: their resolved configurations; None where nothing was trained in a run. ``None`` is returned where none
            has one.
    """
    there = [(name, dict(_leaves(config))) for name, config in zip(names, configs, strict=True) if config]
    if not there:
        return None
    keys = dict.fromkeys(key for _, config in there for key in config)
    texts = {key: tuple(_text(config[key]) if key in config else ABSENT for _, config in there) for key in keys}
    apart = tuple((key, *cells) for key, cells in texts.items() if len(set(cells)) > 1)
    common = {key: there[0][1][key] for key, cells in texts.items() if len(set(cells)) == 1}
    missing = [name for name, config in zip(names, configs, strict=True) if not config]
    about = []
    if len(there) > 1:
        about.append("Settings that differ; for networks and seeds, see the table of results." if apart else
                     "All settings are the same except networks and seeds.")  # fmt: skip
    if missing:
        about.append(f"Without a configuration of a training: {', '.join(missing)}.")
    return Section(
        HEADING,
        tuple(about),
        words=Words(("Key", *(name for name, _ in there)), apart) if apart else None,
        code=yaml.safe_dump(_nested(common), sort_keys=False).rstrip() if common else "",
        fold="What all of them have in common" if len(there) > 1 else "All settings",
    )


def _leaves(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Values by dotted key; an empty mapping or a list counts as a value."""
    for name, value in config.items():
        key = f"{above}{name}"
        if key in ELSEWHERE or (above == "network." and key != STRIDE):
            continue
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{key}.")
        else:
            yield key, value


def _text(value: Any) -> str:
    return (
        value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True, width=10**6).split("\n")[0]
    )


def _nested(leaves: Mapping[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for key, value in leaves.items():
        *above, last = key.split(".")
        place = whole
        for name in above:
            place = place.setdefault(name, {})
        place[last] = value
    return whole

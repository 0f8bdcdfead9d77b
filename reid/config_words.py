"""Messages for invalid configurations: one line that names the key, and for an unknown key the one that was meant."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from reid.errors import nearest
from reid.words import counted

_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")
"""pydantic's types of error for an unknown key."""


def first_problem(kind: type, error: ValidationError) -> str:
    """pydantic's first objection to the values for ``kind``, in one line that begins with the key."""
    first, *others = error.errors()
    # A missing key may be there, mistyped.
    beside = [each for each in others if each["type"] in _UNKNOWN and each["loc"][:-1] == first["loc"][:-1]]
    problem = beside[0] if beside and first["type"].startswith("missing") else first
    place = [str(part) for part in problem["loc"]]
    place = place if problem["type"] in _UNKNOWN else _without_options(kind, place)
    name = ".".join(place)
    if problem["type"] in _UNKNOWN:
        known = _keys_at(kind, place[:-1])
        meant = _glued(place[-1], known) or _elsewhere(kind, place) or nearest(place[-1], known)
        return f"unknown key '{name}'{meant or '; known: ' + ', '.join(known)}"
    if problem["type"] == "dataclass_type" and (known := _keys_at(kind, place)):
        return f"{name}: must be a mapping of its keys: {', '.join(known)} (given: {problem['input']!r})"
    given = problem.get("input")
    if isinstance(given, Mapping) and problem["type"] == "value_error":
        # Our own words, which name the keys that do not fit together: not all that was given.
        return ": ".join(filter(None, (name, problem["msg"].removeprefix("Value error, "))))
    if problem["type"] == "missing" and place[-1].isdecimal():  # of a list of so many values
        return f"{'.'.join(place[:-1])}: the list has no value number {int(place[-1]) + 1}"
    same = [each for each in others if _without_options(kind, [str(part) for part in each["loc"]]) == place]
    words = " or ".join([_words(problem), *(_words(each).removeprefix("input should be ") for each in same)])
    shown = "" if problem["type"].startswith("missing") else f" (given: {given!r})"
    return f"{name}: {words}{shown}"


def _words(problem: Mapping[str, Any]) -> str:
    """pydantic's own words, except where they call a list a tuple, and for what YAML calls true and false."""
    if problem["type"] in ("bool_parsing", "bool_type"):
        return "input should be true or false"
    if problem["type"] in ("tuple_type", "list_type"):
        return "input should be a list"
    for kind, bound, most in (("too_long", "max_length", "most"), ("too_short", "min_length", "least")):
        if problem["type"] == kind and problem["ctx"]["field_type"] == "Tuple":
            return f"input should be a list of at {most} {counted(problem['ctx'][bound], 'value')}"
    words = problem["msg"].removeprefix("Value error, ")
    return words[0].lower() + words[1:]


def _without_options(kind: Any, place: Sequence[str]) -> list[str]:
    """``place`` without pydantic's names of the kinds of value that a key takes, as ``band.str``."""
    kept = []
    for part in place:
        if part.isdecimal():
            kept.append(part)
        elif dataclasses.is_dataclass(kind) and part in typing.get_type_hints(kind):
            kept.append(part)
            kind = _dataclass_of(typing.get_type_hints(kind)[part])
    return kept


def _glued(key: str, known: Sequence[str]) -> str:
    """The cure for ``{stripes:4}``, which YAML reads as a key ``stripes:4`` without a value; empty for other keys."""
    name, colon, value = key.partition(":")
    return f"; YAML needs a space after a colon: {name}: {value}" if colon and name in known else ""


def _elsewhere(kind: type, place: Sequence[str]) -> str:
    """Places where a key of this name exists, for a message; empty if there are none. Up to three: those below the same
    mapping first, and of these the least deep."""
    paths = [path for path in _paths(kind) if path[-1] == place[-1]]
    paths.sort(key=lambda path: (path[: len(place) - 1] != tuple(place[:-1]), len(path)))
    return f"; it belongs under {', '.join('.'.join(path) for path in paths[:3])}" if paths else ""


def _paths(kind: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key inside the dataclass ``kind``, in the order of its fields, without those of a list's items."""
    for field in dataclasses.fields(kind):
        path = (*above, field.name)
        yield path
        hint = typing.get_type_hints(kind)[field.name]
        below = None if typing.get_origin(hint) in (list, tuple) else _dataclass_of(hint)
        if below is not None:
            yield from _paths(below, path)


def _dataclass_of(hint: Any) -> Any:
    """The dataclass that a field holds, may hold, or holds a list of; None for other fields."""
    options = [hint, *typing.get_args(hint)]
    return next((option for option in options if dataclasses.is_dataclass(option)), None)


def _keys_at(kind: Any, place: Sequence[str]) -> list[str]:
    """Field names of the dataclass at ``place`` inside ``kind``; empty if there is no dataclass."""
    for part in place:
        if part.isdecimal():  # the place in a list, of whose items ``kind`` is already
            continue
        kind = _dataclass_of(typing.get_type_hints(kind)[part])
        if kind is None:
            return []
    return [field.name for field in dataclasses.fields(kind)]

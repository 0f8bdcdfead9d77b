"""Typed configuration: a YAML file and ``a.b=c`` overrides become one frozen dataclass, or a one-line error.

The dataclasses are pydantic's, so types and ranges are checked; an unknown key names its nearest relatives.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from reid.errors import UserError, nearest
from reid.files import parse_yaml, read_yaml

STRICT = ConfigDict(extra="forbid")
"""For ``pydantic.dataclasses.dataclass(frozen=True, config=STRICT)``: keys that do not exist are errors."""

HOME = Path(__file__).resolve().parents[1]
"""Holds ``configs``, in a checkout and beside installed packages alike."""

T = TypeVar("T")


def load_config(kind: type[T], path: Path, overrides: Sequence[str] = ()) -> T:
    """The configuration of type ``kind`` in a YAML file, after overrides.

    Any mapping in a file may name another file under ``base``; its values then replace that file's, mapping by
    mapping. A base is relative to the file that names it; where nothing is there, ``configs/demo.yaml`` is ours.

    Raises:
        UserError: the file or an override is unreadable, has an unknown key, or a value of a wrong type or range.
    """
    return build_overridden(kind, read_merged(path), overrides, str(path))


def build_overridden(kind: type[T], data: Mapping, overrides: Sequence[str], where: str) -> T:
    """``data`` with ``overrides`` as a ``kind``. An error names the override that brought it, or ``where`` for one that
    is there without any."""
    stages = [data]
    for text in overrides:
        stages.append(merge(stages[-1], parse_override(text)))
    try:
        return build_config(kind, stages[-1], where)
    except UserError as error:
        final = str(error)
    # The first stage from which on it ends so. What it ends in is cheap to find out, and only done for a message.
    first = next(number for number, stage in enumerate(stages) if _fault(kind, stage, where) == final)
    if first == 0:
        raise UserError(final)
    raise UserError(f"--set {overrides[first - 1]}: {final.removeprefix(f'{where}: ')}")


def _fault(kind: type, data: Mapping, where: str) -> str | None:
    try:
        build_config(kind, data, where)
    except UserError as error:
        return str(error)
    return None


def read_merged(path: Path, above: tuple[Path, ...] = ()) -> dict:
    """A YAML mapping with every ``base`` in it, at any depth, replaced by the file it names.

    ``above`` are the files that led here by their ``base``.
    """
    if path.resolve() in above:
        raise UserError(f"config {path}: is its own base; remove one of the 'base' keys")
    data = read_yaml(path)
    if data is None:
        data = {}
    if not isinstance(data, Mapping):
        raise UserError(f"config {path}: must be a mapping of keys to values")
    return _with_bases(data, path, (*above, path.resolve()))


def _with_bases(data: Mapping, path: Path, above: tuple[Path, ...]) -> dict:
    own = {key: _bases_below(value, path, above) for key, value in data.items() if key != "base"}
    base = data.get("base")
    if base is None:
        return own
    if not isinstance(base, str):
        raise UserError(f"config {path}: base must be the name of a file: {base}")
    beside, ours = path.parent / base, HOME / base
    file = ours if base.startswith("configs/") and not beside.is_file() else beside
    if not file.is_file():
        raise UserError(
            f"config {path}: its base {base} does not exist; name a file as seen from {path.parent}/, or one of ours, "
            "such as configs/demo.yaml"
        )
    return merge(read_merged(file, above), own)


def _bases_below(value: Any, path: Path, above: tuple[Path, ...]) -> Any:
    if isinstance(value, Mapping):
        return _with_bases(value, path, above)
    return [_bases_below(item, path, above) for item in value] if isinstance(value, list) else value


def merge(base: Mapping, over: Mapping) -> dict:
    """``base`` with the values of ``over`` in their place; mappings are merged, anything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def parse_override(text: str) -> dict:
    """``"a.b=c"`` as ``{"a": {"b": c}}``; the value is read as YAML."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise UserError(f"--set {text}: must be of the form a.b=value")
    try:
        data: Any = parse_yaml(value)
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date that is none
        raise UserError(f"--set {text}: the value is not valid YAML") from None
    for part in reversed(key.split(".")):
        data = {part: data}
    return data


def build_config(kind: type[T], data: Mapping, where: str) -> T:
    """``data`` as a ``kind``; ``where`` is named in errors."""
    if not isinstance(data, Mapping):
        raise UserError(f"{where}: must be a mapping of keys to values")
    try:
        built = TypeAdapter(kind).validate_python(dict(data))
    except ValidationError as error:
        raise UserError(f"{where}: {_first_problem(kind, error)}") from None
    for place, given in _booleans_for_numbers(data, built):
        raise UserError(f"{where}: {'.'.join(place)}: must be a number (given: {given!r})")
    return built


def _booleans_for_numbers(
    given: Any, built: Any, place: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Where pydantic took ``yes`` for 1: in YAML a word that is easily meant otherwise."""
    if isinstance(given, bool) and isinstance(built, int | float) and not isinstance(built, bool):
        yield place, given
    elif isinstance(given, Mapping):
        for key, value in given.items():
            below = built.get(key) if isinstance(built, Mapping) else getattr(built, str(key), None)
            yield from _booleans_for_numbers(value, below, (*place, str(key)))
    elif isinstance(given, list | tuple) and isinstance(built, list | tuple) and len(given) == len(built):
        for number, (value, below) in enumerate(zip(given, built, strict=True)):
            yield from _booleans_for_numbers(value, below, (*place, str(number)))


def config_to_dict(config: Any) -> dict:
    """Plain mappings, lists and numbers; ``build_config`` reads it back equal."""
    return TypeAdapter(type(config)).dump_python(config, mode="json")


def _first_problem(kind: type, error: ValidationError) -> str:
    problem = error.errors()[0]
    place = [str(part) for part in problem["loc"]]
    name = ".".join(place)
    if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _keys_at(kind, place[:-1])
        meant = _glued(place[-1], known) or _elsewhere(kind, place) or nearest(place[-1], known)
        return f"unknown key '{name}'{meant or '; known: ' + ', '.join(known)}"
    if problem["type"] == "dataclass_type" and (known := _keys_at(kind, place)):
        return f"{name}: must be a mapping of its keys: {', '.join(known)} (given: {problem['input']!r})"
    given, words = problem.get("input"), problem["msg"].removeprefix("Value error, ")
    if isinstance(given, Mapping) and problem["type"] == "value_error":
        # Our own words, which name the keys that do not fit together: not all that was given.
        return ": ".join(filter(None, (name, words)))
    shown = "" if problem["type"].startswith("missing") else f" (given: {given!r})"
    return f"{name}: {words[0].lower()}{words[1:]}{shown}"


def _glued(key: str, known: Sequence[str]) -> str:
    """The cure of ``{stripes:4}``, which YAML takes for a key ``stripes:4`` without a value; empty for other keys."""
    name, colon, value = key.partition(":")
    return f"; YAML wants a space behind a colon: {name}: {value}" if colon and name in known else ""


def _elsewhere(kind: type, place: Sequence[str]) -> str:
    """Where a key of this very name does stand, for a message; empty where it stands nowhere. Up to three: those below
    the same mapping first, and of these the least deep."""
    paths = [path for path in _paths(kind) if path[-1] == place[-1]]
    paths.sort(key=lambda path: (path[: len(place) - 1] != tuple(place[:-1]), len(path)))
    return f"; it stands under {', '.join('.'.join(path) for path in paths[:3])}" if paths else ""


def _paths(kind: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key inside the dataclass ``kind``, in the order of its fields; those of a list's items are left out."""
    for field in dataclasses.fields(kind):
        path = (*above, field.name)
        yield path
        hint = typing.get_type_hints(kind)[field.name]
        below = None if typing.get_origin(hint) in (list, tuple) else _dataclass_of(hint)
        if below is not None:
            yield from _paths(below, path)


def _dataclass_of(hint: Any) -> Any:
    """The dataclass that a field holds, or may hold, or whose list it is; None for other fields."""
    options = [hint, *typing.get_args(hint)]
    return next((option for option in options if dataclasses.is_dataclass(option)), None)


def _keys_at(kind: Any, place: Sequence[str]) -> list[str]:
    """Field names of the dataclass at ``place`` inside ``kind``; none where there is no dataclass."""
    for part in place:
        if part.isdecimal():  # the place in a list, of whose items ``kind`` is already
            continue
        kind = _dataclass_of(typing.get_type_hints(kind)[part])
        if kind is None:
            return []
    return [field.name for field in dataclasses.fields(kind)]

"""Typed configuration: a YAML file and ``a.b=c`` overrides become one frozen dataclass, or a one-line error.

The dataclasses are pydantic's, so types and ranges are checked; an unknown key names its nearest relatives.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from reid.config_words import first_problem
from reid.errors import UserError
from reid.files import read_yaml
from reid.strict_yaml import parse_yaml

STRICT = ConfigDict(extra="forbid")
"""For ``pydantic.dataclasses.dataclass(frozen=True, config=STRICT)``: keys that do not exist are errors."""

HOME = Path(__file__).resolve().parents[1]
"""The folder that holds ``configs``, in a checkout and beside installed packages alike."""

KINDS = {"dataset": "name"}
"""Keys of mappings whose kind, and so whose possible keys, depends on the value of another key: ``pattern`` is for a
folder of images, not for a table."""

T = TypeVar("T")


def load_config(kind: type[T], path: Path, overrides: Sequence[str] = ()) -> T:
    """The configuration of type ``kind`` in a YAML file, after overrides.

    Any mapping in a file may name another file under ``base``; its values then replace that file's, mapping by
    mapping. A base is relative to the file that names it; if there is none, ``configs/demo.yaml`` is this product's.

    Raises:
        UserError: the file or an override is unreadable, has an unknown key, or a value of a wrong type or range.
    """
    return build_overridden(kind, read_merged(path), overrides, str(path))


def build_overridden(kind: type[T], data: Mapping, overrides: Sequence[str], where: str) -> T:
    """``data`` with ``overrides`` as a ``kind``. An error names the override that caused it, or ``where`` for one that
    exists without any."""
    parsed = [parse_override(text) for text in overrides]
    # What they say of another kind than the file's stands by itself, in whatever order they say it.
    stages, below = [data], _without_other_kinds(data, functools.reduce(merge, parsed, {}))
    for override in parsed:
        below = merge(below, override)
        stages.append(below)
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
    data = read_yaml(path)  # first: it refuses a link to itself, on which resolve() fails
    if path.resolve() in above:
        raise UserError(
            f"config {path}: is its own base, directly or through other files; remove one of the 'base' keys"
        )
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
        raise UserError(f"config {path}: base must be the name of a file (given: {base!r})")
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
    """``base`` updated by ``over``; mappings are merged, anything else is replaced, including a mapping by one of
    another kind (``KINDS``)."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(below, value) if both and not _is_another(key, below, value) else value
    return merged


def _without_other_kinds(base: Mapping, over: Mapping) -> dict:
    """``base`` without the content of its mappings to which ``over`` gives another kind."""
    kept = dict(base)
    for key, below in base.items():
        value = over.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            kept[key] = {} if _is_another(key, below, value) else _without_other_kinds(below, value)
    return kept


def _is_another(key: str, below: Mapping, value: Mapping) -> bool:
    kind = KINDS.get(key)
    return kind in below and kind in value and below[kind] != value[kind]


def parse_override(text: str) -> dict:
    """``"a.b=c"`` as ``{"a": {"b": c}}``; the value is read as YAML."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise UserError(f"--set {text}: must have the form a.b=value")
    try:
        data: Any = parse_yaml(value)
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date that is none
        raise UserError(
            f"--set {text}: the value is not valid YAML; put text with special characters in quotes"
        ) from None
    for part in reversed(key.split(".")):
        data = {part: data}
    return data


def build_config(kind: type[T], data: Mapping, where: str) -> T:
    """``data`` as a ``kind``; errors name ``where``."""
    if not isinstance(data, Mapping):
        raise UserError(f"{where}: must be a mapping of keys to values")
    try:
        built = TypeAdapter(kind).validate_python(dict(data))
    except ValidationError as error:
        raise UserError(f"{where}: {first_problem(kind, error)}") from None
    except UserError as error:  # from a part that checks itself
        raise UserError(f"{where}: {error}") from None
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
    """``config`` as plain mappings, lists and numbers; ``build_config`` reads it back equal."""
    return TypeAdapter(type(config)).dump_python(config, mode="json")

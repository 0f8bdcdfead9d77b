"""Space files and arch files: YAML on disk, under ``configs/spaces`` and ``configs/archs`` or wherever a run wrote
them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from reid.errors import UserError, nearest
from reid.files import read_yaml, write_text
from supernet.arch import Arch
from supernet.files.arch_forms import arch_from_dict, arch_to_dict
from supernet.files.reading import list_of, whole_number, whole_numbers
from supernet.files.stage_forms import choices_from_dict, choices_to_dict
from supernet.space import Space

ROOT = Path(__file__).resolve().parents[2]
SPACES = ROOT / "configs" / "spaces"
ARCHS = ROOT / "configs" / "archs"

LONGEST = 150
"""Bytes of an arch's name; folders are called after it, with some words behind it, and may have 255."""


@dataclass(frozen=True)
class NamedArch:
    """An arch with its name and where it came from.

    Attributes:
        name: what tables call it.
        arch: the network.
        origin: how it was found (space, seed, commit, score, limits, FLOPs at the time), or the paper it is from.
    """

    name: str
    arch: Arch
    origin: dict = field(default_factory=dict)


def load_space(name: str) -> Space:
    """The space called ``name`` (a file under ``configs/spaces``), or the one in the YAML file at path ``name``.

    Raises:
        UserError: no such space (the nearest names are listed), or the file does not describe one.
    """
    path = _find(name, [SPACES], "space")
    data = read_yaml(path)
    if not isinstance(data, Mapping):
        raise UserError(f"space file {path}: must be a mapping; see configs/spaces for examples")
    try:
        return space_from_dict({**data, "name": data.get("name") or path.stem})
    except UserError as error:
        raise UserError(f"space file {path}: {error}") from None


def space_to_dict(space: Space) -> dict:
    """The space as plain lists and numbers, the form of a space file; ``space_from_dict`` reads it back equal.

    Choices at their default are left out, as in files written before there were such choices.
    """
    several = [list(size) for size in space.input_sizes]
    sizes = {"input_sizes": several} if space.smaller_sizes else {"input_size": several[0]}
    last_strides = {} if space.last_strides == (2,) else {"last_strides": list(space.last_strides)}
    stem = {} if space.stem_kernels == Space.stem_kernels else {"stem_kernels": list(space.stem_kernels)}
    stem |= {"stem_pool": True} if space.stem_pool else {}
    return {
        "name": space.name,
        **sizes,
        "stems": list(space.stems),
        **stem,
        "stages": [choices_to_dict(stage) for stage in space.stages],
        "last_widths": list(space.last_widths),
        **last_strides,
        "embedding": space.embedding,
    }


def space_from_dict(data: Mapping) -> Space:
    """The space in the form of a space file.

    Raises:
        UserError: a key is missing, unknown, or of the wrong form.
    """
    known = {"name", "input_size", "input_sizes", "stems", "stem_kernels", "stem_pool", "stages", "last_widths"}
    known |= {"last_strides", "embedding"}
    unknown = sorted(str(key) for key in set(data) - known)
    if unknown:
        raise UserError(f"unknown key '{unknown[0]}'{nearest(unknown[0], known)}")
    if "input_size" in data and "input_sizes" in data:
        raise UserError("give either 'input_size' or 'input_sizes'")
    try:
        *smaller, largest = _sizes(data) if "input_sizes" in data else [whole_numbers(data, "input_size")]
        return Space(
            name=str(data["name"]),
            input_size=largest,
            stems=whole_numbers(data, "stems"),
            stages=tuple(choices_from_dict(stage) for stage in list_of(data, "stages")),
            last_widths=whole_numbers(data, "last_widths"),
            embedding=None if data.get("embedding") is None else whole_number(data, "embedding"),
            last_strides=whole_numbers(data, "last_strides") if "last_strides" in data else Space.last_strides,
            smaller_sizes=tuple(smaller),
            stem_kernels=whole_numbers(data, "stem_kernels") if "stem_kernels" in data else Space.stem_kernels,
            stem_pool=data.get("stem_pool", Space.stem_pool),
        )
    except KeyError as missing:
        raise UserError(f"key {missing} is missing") from None


def _sizes(data: Mapping) -> list[tuple[int, ...]]:
    sizes = list_of(data, "input_sizes")
    if not sizes:
        raise UserError("input_sizes: must be a list of at least one [height, width]")
    return [whole_numbers({"input_sizes": size}, "input_sizes") for size in sizes]


def load_arch(path: str | Path) -> NamedArch:
    """Reads an arch file.

    Raises:
        UserError: the file is missing or does not describe an arch, or the arch's name cannot be a file name.
    """
    path = Path(path)
    data = read_yaml(path)
    if not isinstance(data, Mapping):
        raise UserError(f"arch file {path}: must be a mapping; see configs/archs for examples")
    body = {key: value for key, value in data.items() if key not in ("name", "origin")}
    origin = data.get("origin") or {}
    try:
        if not isinstance(origin, Mapping):
            raise UserError(f"origin: must be a mapping, for example {{paper: ...}} (given: {origin})")
        return NamedArch(_name(data, path), arch_from_dict(body), _plain(origin))
    except UserError as error:
        raise UserError(f"arch file {path}: {error}") from None


def _name(data: Mapping, path: Path) -> str:
    """The name of the arch. Folders of its trainings are named after it."""
    name = str(data.get("name") or path.stem)
    if not name.isprintable() or name.startswith(".") or set("/\\") & set(name) or len(name.encode()) > LONGEST:
        few = name if len(name) <= LONGEST else f"{name[:LONGEST]}..."
        raise UserError(
            f"name {few!r}: must be usable as a file name: without / and \\, not starting with a dot, at most "
            f"{LONGEST} bytes"
        )
    return name


def _plain(value: Any) -> Any:
    """A value read from YAML in a form that JSON has: a checkpoint's header holds an arch's origin, and an unquoted
    date, which YAML reads as a date, would end a training when its weights are written."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


def save_arch(path: str | Path, named: NamedArch) -> Path:
    """Writes an arch file, atomically."""
    data = {"name": named.name, **arch_to_dict(named.arch), "origin": named.origin}
    return write_text(Path(path), yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=110))


def known_archs(folders: Sequence[Path] = ()) -> dict[str, Path]:
    """Arch files by lower-case name, those of earlier folders first; ``configs/archs`` comes last."""
    return _index([*folders, ARCHS])


def _index(folders: Sequence[Path]) -> dict[str, Path]:
    known: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            known.setdefault(path.stem.lower(), path)
    return known


def _find(name: str, folders: Sequence[Path], what: str) -> Path:
    given = Path(name)
    if given.suffix in (".yaml", ".yml"):
        if given.is_file():
            return given
        raise UserError(f"{what} file {name} does not exist")
    known = _index(folders)
    if name.lower() in known:
        return known[name.lower()]
    names = sorted(path.stem for path in known.values())
    hint = nearest(name, names) or f"; known: {', '.join(names)}"
    raise UserError(f"no {what} is called '{name}'{hint}")

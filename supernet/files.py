"""Space files and arch files: YAML on disk, under ``configs/spaces`` and ``configs/archs`` or wherever a run wrote
them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from reid.errors import UserError, nearest
from reid.files import read_yaml, write_text
from supernet.arch import Arch, arch_from_dict, arch_to_dict, list_of, whole_number, whole_numbers
from supernet.space import Space, StageSpace

ROOT = Path(__file__).resolve().parents[1]
SPACES = ROOT / "configs" / "spaces"
ARCHS = ROOT / "configs" / "archs"
_STAGE_CHOICES = ("widths", "depths", "kernels", "expands")


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
    """The space called ``name`` (a file under ``configs/spaces``), or the one in the YAML file that ``name`` is a
    path to.

    Raises:
        UserError: no such space (the nearest names are listed), or the file does not describe one.
    """
    path = _find(name, [SPACES], "space")
    data = read_yaml(path)
    if not isinstance(data, Mapping):
        raise UserError(f"space file {path}: must be a mapping; see configs/spaces for examples")
    try:
        return space_from_dict({"name": path.stem, **data})
    except UserError as error:
        raise UserError(f"space file {path}: {error}") from None


def space_to_dict(space: Space) -> dict:
    """Plain lists and numbers, the form of a space file; ``space_from_dict`` reads it back equal."""
    return {
        "name": space.name,
        "input_size": list(space.input_size),
        "stems": list(space.stems),
        "stages": [
            {"stride": stage.stride, **{key: list(getattr(stage, key)) for key in _STAGE_CHOICES}}
            for stage in space.stages
        ],
        "last_widths": list(space.last_widths),
        "embedding": space.embedding,
    }


def space_from_dict(data: Mapping) -> Space:
    """The space in the form of a space file.

    Raises:
        UserError: a key is missing, unknown, or of the wrong form.
    """
    known = {"name", "input_size", "stems", "stages", "last_widths", "embedding"}
    unknown = sorted(str(key) for key in set(data) - known)
    if unknown:
        raise UserError(f"unknown key '{unknown[0]}'{nearest(unknown[0], known)}")
    try:
        return Space(
            name=str(data["name"]),
            input_size=whole_numbers(data, "input_size"),
            stems=whole_numbers(data, "stems"),
            stages=tuple(_stage_space(stage) for stage in list_of(data, "stages")),
            last_widths=whole_numbers(data, "last_widths"),
            embedding=None if data.get("embedding") is None else whole_number(data, "embedding"),
        )
    except KeyError as missing:
        raise UserError(f"key {missing} is missing") from None


def _stage_space(data: Mapping) -> StageSpace:
    if not isinstance(data, Mapping):
        raise UserError(f"stages: each must be a mapping: {data}")
    unknown = sorted(set(data) - {"stride", *_STAGE_CHOICES})
    if unknown:
        raise UserError(f"unknown key '{unknown[0]}' in a stage{nearest(unknown[0], _STAGE_CHOICES)}")
    return StageSpace(whole_number(data, "stride"), *(whole_numbers(data, key) for key in _STAGE_CHOICES))


def load_arch(path: Path) -> NamedArch:
    """Reads an arch file.

    Raises:
        UserError: the file is missing, or does not describe an arch.
    """
    data = read_yaml(path)
    if not isinstance(data, Mapping):
        raise UserError(f"arch file {path}: must be a mapping; see configs/archs for examples")
    body = {key: value for key, value in data.items() if key not in ("name", "origin")}
    try:
        return NamedArch(str(data.get("name", path.stem)), arch_from_dict(body), dict(data.get("origin") or {}))
    except UserError as error:
        raise UserError(f"arch file {path}: {error}") from None


def save_arch(path: Path, named: NamedArch) -> Path:
    """Writes an arch file, atomically."""
    data = {"name": named.name, **arch_to_dict(named.arch), "origin": named.origin}
    return write_text(path, yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=110))


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

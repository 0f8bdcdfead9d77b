"""Archs that a user gives as files or folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reid.errors import UserError
from supernet.files import NamedArch, load_arch
from supernet.space import Space
from supernet.space.genome import encode


def arch_files(paths: Sequence[Path]) -> list[Path]:
    """These files, and all YAML files in the folders among them."""
    return [file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]


def given_archs(option: str, paths: Sequence[Path], space: Space) -> list[tuple[NamedArch, Path]]:
    """The archs in these files and folders, each named after its file, with that file.

    Raises:
        UserError: one is not in ``space``, or two are the same or share a name; the message begins with ``option``.
    """
    found: dict[str, tuple[NamedArch, Path]] = {}
    for file in arch_files(paths):
        arch = load_arch(file).arch.at(None if space.smaller_sizes else space.input_size)
        try:
            encode(space, arch)
        except UserError as error:
            raise UserError(f"{option} {file}: {error}; give archs of the config's space") from None
        twin = next((other for named, other in found.values() if named.arch == arch or other.stem == file.stem), None)
        if twin is not None:
            raise UserError(f"{option} {file}: has the name or the network of {twin}; give each arch once")
        found[file.stem] = NamedArch(file.stem, arch), file
    return list(found.values())

"""Reading and writing small files: atomic writes, and YAML or JSON with errors that name the file and a cure."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from reid.errors import UserError
from reid.locks import locked
from reid.strict_yaml import parse_yaml

_TEMPORARY = ".tmp"
"""Suffix of temporary folders."""


def write_atomic(path: Path, write: Callable[[Path], None]) -> Path:
    """Lets ``write`` create a file of ``path``'s name in a temporary folder beside it and then moves it to ``path``,
    which is therefore never half written.

    A killed process leaves a folder for which ``is_leftover`` holds: the pattern ``*.yaml`` does not match it, and the
    next call for this path removes it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path), temporary_folder(path) as folder:
        temporary = folder / path.name
        write(temporary)
        os.chmod(temporary, 0o644)  # results are for other users too, whatever wrote them
        os.replace(temporary, path)
    return path


@contextlib.contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """A hidden folder beside ``path``, in which a file or folder of that name can be made. It is removed at the end,
    unless it was moved away.

    Folders that killed processes left for the same path are removed first. Those of living processes stay: each
    process holds a lock on its own."""
    for entry in _leftovers(path):
        with contextlib.suppress(OSError), locked(entry) as held:  # another process was faster
            if held:
                shutil.rmtree(entry, ignore_errors=True)
    with contextlib.ExitStack() as stack:
        folder = None
        while folder is None or not folder.is_dir():  # another process may remove it before it is locked
            folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=_TEMPORARY))
            with contextlib.suppress(FileNotFoundError):
                stack.enter_context(locked(folder, wait=True))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _leftovers(path: Path) -> list[Path]:
    with os.scandir(path.parent) as entries:
        found = [entry for entry in entries if entry.name.endswith(_TEMPORARY) and entry.is_dir(follow_symlinks=False)]
    return [Path(entry.path) for entry in found if is_leftover(Path(entry.path), path)]


def append_line(path: Path, line: str) -> None:
    """Adds a line of UTF-8 text in one ``write``, so that a kill leaves whole lines; a full disk may cut the last."""
    with naming(path), path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Makes an OSError of the block name ``path`` if it names no file, as for a full disk, or a temporary file of
    ``write_atomic``."""
    try:
        yield
    except OSError as error:
        named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
        if error.errno is not None and (named is None or any(is_leftover(Path(part), path) for part in named.parts)):
            error.filename, error.filename2 = str(path), None
        raise


def is_leftover(entry: Path, path: Path) -> bool:
    """Whether ``entry``, in ``path``'s folder, is what ``write_atomic(path, ...)`` leaves when it is killed."""
    return entry.name.startswith(f".{path.name}.")


def write_text(path: Path, text: str) -> Path:
    """Writes UTF-8 text atomically."""
    return write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8") and None)


def write_json(path: Path, data: Any) -> Path:
    """Writes indented JSON atomically."""
    return write_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n")


RESTORE = "restore it from a copy"
"""The cure for a damaged file of unknown origin."""


def read_json(path: Path, cure: str = RESTORE) -> Any:
    """The content of a JSON file. Raises UserError, which ends with ``cure``, if it is not JSON or is missing."""
    try:
        return json.loads(_text(path))
    except (ValueError, RecursionError) as error:  # of JSON or of UTF-8
        raise UserError(f"file {path} is not valid JSON ({_line(error)}); {cure}") from None


def read_yaml(path: Path, cure: str = "correct it") -> Any:
    """The content of a YAML file. Raises UserError, which ends with ``cure``, if it is not YAML or is missing."""
    try:
        return parse_yaml(_text(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: of UTF-8, or a date that is none
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        what = _line(getattr(error, "problem", None) or error)
        what = "there is a tab where only spaces are allowed" if what.startswith("found character '\\t'") else what
        raise UserError(f"file {path} is not valid YAML{line}: {what}; {cure}") from None


def read_mapping(path: Path, cure: str = RESTORE) -> dict[str, Any]:
    """The mapping in a JSON file (``.json``) or YAML file.

    Raises:
        UserError: the file is missing, damaged, or holds something else; the message ends with ``cure``.
    """
    found = (read_json if path.suffix == ".json" else read_yaml)(path, cure)
    if not isinstance(found, dict):
        raise UserError(f"file {path} is not a mapping of keys to values; {cure}")
    return found


@contextlib.contextmanager
def expecting(path: Path, cure: str = RESTORE) -> Iterator[None]:
    """A context only for code that interprets the content of ``path``: a missing key, or a value of another kind, is
    then the file's fault.

    Raises:
        UserError: the message ends with ``cure``.
    """
    try:
        yield
    except KeyError as error:
        raise UserError(f"file {path} lacks {error}; {cure}") from None
    except (IndexError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise UserError(f"file {path} contains unexpected values ({_line(error)}); {cure}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"file {path} does not exist") from None
    except OSError as error:
        raise UserError(f"file {path} cannot be read: {error.strerror}") from None


def _line(error: object) -> str:
    return " ".join(str(error).split())

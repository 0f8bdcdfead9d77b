"""Reading and writing small files: atomic writes, and YAML or JSON with errors that name the file."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from reid.errors import UserError


def write_atomic(path: Path, write: Callable[[Path], None]) -> Path:
    """Lets ``write`` make a file of ``path``'s name in a temporary folder beside it and then moves it there, so that
    ``path`` is never half written.

    What a killed process leaves is a folder for which ``is_leftover`` holds: ``*.yaml`` does not find it among files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.", ignore_cleanup_errors=True) as folder:
        temporary = Path(folder) / path.name
        write(temporary)
        os.chmod(temporary, 0o644)  # results are for other users too, whatever wrote them
        os.replace(temporary, path)
    return path


def is_leftover(entry: Path, path: Path) -> bool:
    """Whether ``entry``, of ``path``'s folder, is what ``write_atomic(path, ...)`` leaves where it is killed."""
    return entry.name.startswith(f".{path.name}.")


def write_text(path: Path, text: str) -> Path:
    """Writes UTF-8 text atomically."""
    return write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8") and None)


def write_json(path: Path, data: Any) -> Path:
    """Writes indented JSON atomically."""
    return write_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Raises UserError where the file is missing or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"file {path} does not exist") from None
    except OSError as error:
        raise UserError(f"file {path} cannot be read: {error.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"file {path} is not valid JSON ({error}); remove it and run the job again") from None


def read_yaml(path: Path) -> Any:
    """Raises UserError where the file is missing or no YAML."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"file {path} does not exist") from None
    except OSError as error:
        raise UserError(f"file {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise UserError(f"file {path} is not valid YAML{line}: {getattr(error, 'problem', error)}") from None

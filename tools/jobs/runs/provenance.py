"""What a run must record to be reproducible."""

from __future__ import annotations

import hashlib
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from reid.config import config_to_dict
from tools.jobs.data import Source
from tools.jobs.experiment import IS_CHECKOUT, ROOT
from tools.jobs.job import Job
from tools.typed import as_typed

ARCHIVAL = ".git_archival.txt"

AGAIN = ("--resume", "--replace")
"""Options that do not change the result."""


def run_config(job: Job, source: Source, **parts: Any) -> dict[str, Any]:
    """The resolved configuration that a run folder stores and a resumed run must match."""
    return {
        "seed": job.seed,
        "dataset": source.dataset.name,
        "input_size": job.experiment.input_size,
        **{name: config_to_dict(part) for name, part in parts.items()},
    }


def command() -> str:
    """The command line of this process, as a user would type it."""
    arguments = [argument for argument in sys.argv[1:] if argument not in AGAIN]
    program = sys.argv[0]
    program = program[program.rfind("tools/") :] if "tools/" in program else program
    return " ".join([as_typed(f"python {program}"), *map(shlex.quote, arguments)])


def sha256(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git(*arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return result.stdout.strip()


def _read_commit() -> str:
    if not IS_CHECKOUT:  # a git repository around installed packages is not this project's
        return "unknown"
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return _archived(ROOT / ARCHIVAL)


def _archived(file: Path) -> str:
    """The commit that ``git archive`` recorded in a copy (``.gitattributes``)."""
    try:
        text = file.read_text().strip()
    except OSError:
        return "unknown"
    return text[:12] if re.fullmatch("[0-9a-f]{40}", text) else "unknown"


_AT_START = _read_commit()  # the checkout may change while a long job still runs the code it started with


def commit() -> str:
    """The checkout's git commit when this process began, with ``+`` if tracked files were changed; in a copy made by
    ``git archive``, the commit that it was made from; elsewhere ``"unknown"``."""
    return _AT_START


def made_by() -> str:
    """The command and the commit, in the form that pages show."""
    return f"{command()}\n# at commit {commit()}"

"""``reid-nas TOOL ARGS``, the command that ``pip install .`` makes: ``reid-nas search --flops 210M`` is
``python tools/search.py --flops 210M``, from any folder."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from reid.errors import nearest

FOLDER = Path(__file__).resolve().parent
OURS = ("cli", "command")
"""Modules beside the tools that are none."""


def tools() -> dict[str, str]:
    """The tools by name, each with the first sentence of what it says of itself. None is imported, which takes
    seconds."""
    names = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
    return {name: _first_sentence(FOLDER / f"{name}.py") for name in names if name not in OURS}


def main(arguments: Sequence[str] | None = None) -> None:
    """Becomes the tool that the first of ``arguments`` (None: of the command line) names; lists the tools without one.

    The process is replaced by ``python tools/TOOL.py``, so that nothing tells the two ways to start a tool apart: exit
    code, signals, what it imports. A name that no tool has ends it with code 2 and the nearest ones.
    """
    name, *rest = [*(sys.argv[1:] if arguments is None else arguments)] or ["--help"]
    known = tools()
    if name in ("-h", "--help"):
        print(_list(known))
        return
    tool = name.replace("-", "_")
    if tool not in known:
        hint = nearest(name, known) or f"; there are {', '.join(known)}"
        print(f"error: no tool is called '{name}'{hint}", file=sys.stderr)
        sys.exit(2)
    sys.stdout.flush()
    program = [sys.executable, str(FOLDER / f"{tool}.py"), *rest]
    if os.name == "nt":  # whose exec would give the prompt back at once
        import subprocess

        sys.exit(subprocess.call(program))
    os.execv(sys.executable, program)


def _list(known: dict[str, str]) -> str:
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {words}" for name, words in known.items()]
    return "\n".join(["usage: reid-nas TOOL [OPTIONS]; reid-nas TOOL --help explains one", "", *lines])


def _first_sentence(file: Path) -> str:
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(said.partition("\n\n")[0].split()).partition(". ")[0].rstrip(".")

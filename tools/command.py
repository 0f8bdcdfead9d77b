"""``reid-nas TOOL ARGS``, the command that ``pip install .`` makes: ``reid-nas search --flops 210M`` is
``python tools/search.py --flops 210M``, from any folder; and how tools are called to a user who types it."""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from reid.errors import nearest

FOLDER = Path(__file__).resolve().parent
RUNS = 'if __name__ == "__main__":'
"""What a tool has and the modules beside it have not."""

NAME = "reid-nas"
TYPED_BY = "REID_NAS_TYPED_BY"
"""An environment variable: the command that the user starts tools by, where it is this one; so that a tool, and those
that it starts, know."""

_CALL = re.compile(r"(torchrun [^\n]*)?(?<![\w./])(?:python )?tools/([a-z_]+)\.py")


def as_typed(text: str) -> str:
    """``text``, in which tools are called as in a checkout, with them called as this user does: ``reid-nas search`` in
    place of ``python tools/search.py`` and ``tools/search.py``. torchrun takes programs alone, and is given the file.
    """
    if os.environ.get(TYPED_BY) != NAME:
        return text
    return _CALL.sub(lambda call: f"{call[1]}{FOLDER / call[2]}.py" if call[1] else f"{NAME} {call[2]}", text)


class _Parser(argparse.ArgumentParser):
    """Calls tools as the user does, in usage and help."""

    def format_usage(self) -> str:
        return as_typed(super().format_usage())

    def format_help(self) -> str:
        return as_typed(super().format_help())


def tool_parser(description: str) -> argparse.ArgumentParser:
    """A parser without options, whose help begins with ``description`` as it stands."""
    program = as_typed(f"tools/{Path(sys.argv[0]).name}").removeprefix("tools/")
    return _Parser(program, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def tools() -> dict[str, str]:
    """The tools by name, each with the first sentence of what it says of itself. None is imported, which takes
    seconds."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.py"))}
    own = Path(__file__).stem
    return {name: _first_sentence(text) for name, text in texts.items() if RUNS in text and name != own}


def main(arguments: Sequence[str] | None = None) -> None:
    """Becomes the tool that the first of ``arguments`` (None: of the command line) names; lists the tools without one.

    The process is replaced by ``python tools/TOOL.py``, so that nothing but what it calls itself tells the two ways to
    start a tool apart: exit code, signals, what it imports. A name that no tool has ends it with code 2 and the nearest
    ones.
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
    words = [sys.executable, str(FOLDER / f"{tool}.py"), *rest]
    environment = os.environ | {TYPED_BY: NAME}
    if os.name == "nt":  # whose exec would give the prompt back at once
        import subprocess

        sys.exit(subprocess.call(words, env=environment))
    os.execve(sys.executable, words, environment)


def _list(known: dict[str, str]) -> str:
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {words}" for name, words in known.items()]
    return "\n".join(["usage: reid-nas TOOL [OPTIONS]; reid-nas TOOL --help explains one", "", *lines])


def _first_sentence(text: str) -> str:
    said = ast.get_docstring(ast.parse(text)) or ""
    return " ".join(said.partition("\n\n")[0].split()).partition(". ")[0].rstrip(".")

"""``reid-nas TOOL ARGS``, the command that ``pip install .`` makes: ``reid-nas search --flops 210M`` is
``python tools/search.py --flops 210M``, from any folder."""

from __future__ import annotations

import ast
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from reid.errors import nearest
from tools.typed import FOLDER, NAME, TYPED_BY

RUNS = 'if __name__ == "__main__":'
"""Line that every tool contains, and that no other module in the folder does."""


def tools() -> dict[str, str]:
    """The tools by name, each with the first sentence of its docstring. None is imported, since that takes seconds."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.py"))}
    own = Path(__file__).stem
    return {name: _first_sentence(text) for name, text in texts.items() if RUNS in text and name != own}


def main(arguments: Sequence[str] | None = None) -> None:
    """Becomes the tool named by the first of ``arguments`` (None: the command line's). Lists the tools if there is no
    name, and prints the installed version for ``--version``.

    The process is replaced by ``python tools/TOOL.py``, so both ways of starting a tool behave alike (exit code,
    signals, imports) and differ only in the name that it calls itself. An unknown name ends the process with code 2 and
    a suggestion of the nearest names.
    """
    name, *rest = [*(sys.argv[1:] if arguments is None else arguments)] or ["--help"]
    known = tools()
    if name in ("-h", "--help"):
        _say(_list(known))
        return
    if name == "--version":
        _say(f"{NAME} {version(NAME)}")
        return
    tool = name.replace("-", "_")
    if tool not in known:
        hint = nearest(name, known) or f"; there are {', '.join(known)}"
        print(f"error: no tool is called '{name}'{hint}", file=sys.stderr)
        sys.exit(2)
    sys.stdout.flush()
    words = [sys.executable, str(FOLDER / f"{tool}.py"), *rest]
    environment = os.environ | {TYPED_BY: NAME}
    if os.name == "nt":  # there, exec would return to the prompt at once
        import subprocess

        sys.exit(subprocess.call(words, env=environment))
    os.execve(sys.executable, words, environment)


def _say(text: str) -> None:
    """Prints ``text``; if the reader closes the pipe early, as ``| head`` does, ends as other programs do."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still buffered
        sys.exit(128 + signal.SIGPIPE)


def _list(known: dict[str, str]) -> str:
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {words}" for name, words in known.items()]
    return "\n".join(["usage: reid-nas TOOL [OPTIONS]; reid-nas TOOL --help explains one", "", *lines])


def _first_sentence(text: str) -> str:
    said = ast.get_docstring(ast.parse(text)) or ""
    return " ".join(said.partition("\n\n")[0].split()).partition(". ")[0].rstrip(".")

"""How messages name the tools: as the user starts them, as files of a checkout or through ``reid-nas``."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path
from typing import NoReturn

from reid.errors import UserError
from reid.options import Parser

FOLDER = Path(__file__).resolve().parent

NAME = "reid-nas"
TYPED_BY = "REID_NAS_TYPED_BY"
"""Environment variable set to ``reid-nas`` if the user starts tools by that command, so that a tool, and the tools that
it starts, know."""

_CALL = re.compile(r"(torchrun [^\n]*)?(?<![\w./])(?:python )?tools/([a-z_]+)\.py")


def as_typed(text: str) -> str:
    """``text`` with its tools named as this user calls them: ``reid-nas search`` in place of ``python tools/search.py``
    or ``tools/search.py``. After torchrun, which takes only program files, the file's path is kept.
    """
    if os.environ.get(TYPED_BY) != NAME:
        return text
    return _CALL.sub(lambda call: f"{call[1]}{FOLDER / call[2]}.py" if call[1] else f"{NAME} {call[2]}", text)


def to_type(tool: str, *words: str) -> str:
    """The command line of a tool, as the user types it."""
    return " ".join([as_typed(f"python tools/{tool}.py"), *map(shlex.quote, words)])


_EMPTY = re.compile(r"(--[\w-]+=)?")


class _Parser(Parser):
    """Names tools in usage and help as the user calls them.

    Raises UserError, which ``run_tool`` reports, for wrong arguments. This includes an empty argument, as in
    ``--weights "$W"`` with W unset: it would count as not given or, for a path, as the current folder.
    """

    def parse_known_args(self, args=None, namespace=None):
        words = sys.argv[1:] if args is None else list(args)
        for before, word in zip(["", *words], words, strict=False):
            if _EMPTY.fullmatch(word):
                option = word.rstrip("=") or before
                where = f"{option} ''" if option.startswith("-") else "''"
                raise UserError(f"{where}: the value is empty; give one, or leave it out")
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        raise UserError(self.line(message))

    def format_usage(self) -> str:
        return as_typed(super().format_usage())

    def format_help(self) -> str:
        return as_typed(super().format_help())


def tool_parser(description: str) -> Parser:
    """A parser without options, whose help begins with ``description`` verbatim."""
    program = as_typed(f"tools/{Path(sys.argv[0]).name}").removeprefix("tools/")
    return _Parser(program, description=description)

"""How tools are called to the user who types their names: as files of a checkout, or by ``reid-nas``."""

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


def to_type(tool: str, *words: str) -> str:
    """A tool's command line, for the user to type."""
    return " ".join([as_typed(f"python tools/{tool}.py"), *map(shlex.quote, words)])


_EMPTY = re.compile(r"(--[\w-]+=)?")


class _Parser(Parser):
    """Calls tools as the user does, in usage and help.

    Raises UserError for what is wrong, which ``run_tool`` says; also for an empty word, as ``--weights "$W"`` gives
    where there is no W: it would count as not given, or, of a path, as the folder that the user is in.
    """

    def parse_known_args(self, args=None, namespace=None):
        words = sys.argv[1:] if args is None else list(args)
        for before, word in zip(["", *words], words, strict=False):
            if _EMPTY.fullmatch(word):
                option = word.rstrip("=") or before
                where = f"{option} ''" if option.startswith("-") else "''"
                raise UserError(f"{where}: an empty word is no value; give one, or leave it out")
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        raise UserError(self.line(message))

    def format_usage(self) -> str:
        return as_typed(super().format_usage())

    def format_help(self) -> str:
        return as_typed(super().format_help())


def tool_parser(description: str) -> Parser:
    """A parser without options, whose help begins with ``description`` as it stands."""
    program = as_typed(f"tools/{Path(sys.argv[0]).name}").removeprefix("tools/")
    return _Parser(program, description=description)

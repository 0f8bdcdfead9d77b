"""The parser of command lines for every program here: options by their full names, errors in one line."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from typing import NoReturn

_WORDS = (
    (r"argument (\S+): invalid int value: (.*)", r"\1 \2: must be a whole number"),
    (r"argument (\S+): invalid float value: (.*)", r"\1 \2: must be a number"),
    (r"argument (.*)", r"\1"),
    (r"the following arguments are required: (.*)", r"\1: must be given; see --help"),
    (r"unrecognized arguments: (.*)", r"\1: unexpected argument; see --help"),
)
"""argparse's messages, and the words for them here."""


class Parser(argparse.ArgumentParser):
    """Takes no beginning of an option for the option: what ``--epo`` means would change with the options that there
    are. What is wrong ends the process with code 2 and one line, where argparse would print its usage before it."""

    def __init__(self, *arguments, **settings) -> None:
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*arguments, allow_abbrev=False, **settings)

    def parse_known_args(self, args=None, namespace=None):
        """Reports the first unknown option; argparse would first report missing required ones."""
        words = sys.argv[1:] if args is None else list(args)
        for word in words[: words.index("--") if "--" in words else None]:
            if self._is_unknown(word):
                option = word.partition("=")[0]
                self.error(f"{option}: no such option{self._near(option)}; see --help")
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {self.line(message)}\n")

    @staticmethod
    def line(message: str) -> str:
        """``message``, of argparse's or its own, in the words of this product."""
        for pattern, words in _WORDS:
            if found := re.fullmatch(pattern, message, re.DOTALL):
                return found.expand(words)
        return message

    def _is_unknown(self, word: str) -> bool:
        """Whether ``word`` is meant as an option but unknown: not if it begins like a negative number, as ``-4x4``,
        whose option argparse then names, nor if it has a space, which makes it a value."""
        if len(word) < 2 or word[0] != "-" or " " in word or re.match(r"-\.?\d", word):
            return False
        return word.partition("=")[0] not in self._option_string_actions

    def _near(self, option: str) -> str:
        """The nearest options, compared without their hyphens, which would make any two similar."""
        known = {name.lstrip("-"): name for name in self._option_string_actions if name.startswith("--")}
        close = difflib.get_close_matches(option.lstrip("-"), known, n=3, cutoff=0.6)
        return f"; nearest: {', '.join(known[name] for name in close)}" if close else ""

"""The one exception a user is meant to see."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user gave cannot be used.

    The message is one line that names the thing and the cure. The command line tools print it without a traceback
    and exit with code 2; code that calls the library may catch it.
    """


def nearest(word: str, known: Iterable[str], count: int = 3) -> str:
    """``"; nearest: a, b"`` for the known words most like ``word``, or an empty string when none comes close."""
    close = difflib.get_close_matches(word, list(known), n=count, cutoff=0.4)
    return f"; nearest: {', '.join(close)}" if close else ""

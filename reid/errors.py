"""The one exception a user is meant to see, and parts of its message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user gave cannot be used.

    The message is one line that names the thing and the cure. The command line tools print it without a traceback
    and exit with code 2; code that calls the library may catch it.
    """


def first_line(error: BaseException | str) -> str:
    """The first line of another library's exception, or the name of its class if it has no message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def nearest(word: str, known: Iterable[str], count: int = 3) -> str:
    """``"; nearest: a, b"`` for the known words most like ``word``, or an empty string when none comes close."""
    close = difflib.get_close_matches(word, list(known), n=count, cutoff=0.4)
    return f"; nearest: {', '.join(close)}" if close else ""

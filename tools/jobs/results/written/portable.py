"""Texts for publication, without the machine's paths."""

from __future__ import annotations

import re
from pathlib import Path

from tools.jobs.experiment import ROOT

_ABSOLUTE = re.compile(r"(?<![\w.:/])(?:~|/[\w.+@-]+)(?:/[\w.+@-]+)*/([\w.+@-]+)")


def portable(text: str) -> str:
    """``text`` with paths below the checkout or working folder made relative, and other absolute paths cut to their
    last part."""
    for folder in (ROOT, Path.cwd()):
        text = text.replace(f"{folder.resolve()}/", "")
    return _ABSOLUTE.sub(r"\1", text)

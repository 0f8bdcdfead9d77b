"""Puts the checkout's root in place of ``tools/`` on the import path: ``tools/search.py`` must not shadow
``search``."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

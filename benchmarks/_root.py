"""Puts the checkout's root in place of ``benchmarks/`` on the import path."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

"""Imported first by every tool: puts the checkout's root in place of ``tools/`` on the import path, because
``tools/search.py`` must not shadow ``search``. Until the slow imports are done, an interrupt simply ends the tool."""

import signal
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
sys.path[0] = str(TOOLS.parent)
# Only in a tool's own process, and not if interrupts are ignored (nohup). Later, ``run_tool`` handles interrupts.
if Path(sys.argv[0]).resolve().parent == TOOLS and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

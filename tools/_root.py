"""What a tool does first: it puts the checkout's root in place of ``tools/`` on the import path, as ``tools/search.py``
must not shadow ``search``; and until all is imported, which takes seconds, an interrupt just ends it."""

import signal
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
sys.path[0] = str(TOOLS.parent)
# Only in a tool's own process, and not where interrupts are ignored (nohup). ``run_tool`` handles them from there on.
if Path(sys.argv[0]).resolve().parent == TOOLS and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

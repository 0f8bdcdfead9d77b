"""How a tool is interrupted: by Ctrl-C, and in the same way by SIGTERM, as ``kill``, ``timeout``, batch systems and
containers send it. The background jobs of a script's shell ignore Ctrl-C's signal: for these it is the only way."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Inside the block, SIGINT and SIGTERM raise KeyboardInterrupt; what was told otherwise, as to ignore one, stays.

    Processes that torchrun started end at once by SIGTERM: it is how torchrun ends them when one of them has failed,
    and they may be waiting for each other where no Python runs.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    heard = [signal.SIGINT, *([] if "WORLD_SIZE" in os.environ else [signal.SIGTERM])]
    before = {number: signal.getsignal(number) for number in heard}
    for number, handler in before.items():
        if handler is signal.SIG_DFL:
            signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is signal.SIG_DFL:
                signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt

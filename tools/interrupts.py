"""Interrupting a tool: by Ctrl-C, and in the same way by SIGTERM, which ``kill``, ``timeout``, batch systems and
containers send. A shell script's background jobs ignore SIGINT, so SIGTERM is the only way to interrupt them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Inside the block, SIGINT and SIGTERM raise KeyboardInterrupt, unless the signal is ignored or handled already.

    Processes started by torchrun still end at once on SIGTERM: torchrun ends them this way when one of them has failed,
    and they may be waiting for each other in native code, where no Python runs.
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

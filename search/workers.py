"""Several processes that evaluate candidates together: the first one searches, the others wait for archs.

A round is one arch for each process. All of them are done before the next round begins, so the log is written in the
order of the trials, and a kill loses at most the candidates of one round.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch.distributed as dist

from reid.engine.machine.distributed import SINGLE, Processes
from reid.errors import UserError
from supernet.arch import Arch

Evaluate = Callable[[Arch], Mapping[str, float]]
"""Scores an arch: a mapping with ``default`` (larger is better) and, where known, ``rank1``."""


def measured(evaluate: Evaluate, arch: Arch) -> dict[str, float]:
    """The metrics that ``evaluate`` gives for ``arch``, with the ``seconds`` that it took."""
    start = time.perf_counter()
    metrics = {name: float(value) for name, value in evaluate(arch).items()}
    return {**metrics, "seconds": time.perf_counter() - start}


@dataclass(frozen=True)
class _Failure:
    """An exception on its way to the first process."""

    message: str
    of_user: bool

    def as_error(self) -> Exception:
        return (UserError if self.of_user else RuntimeError)(self.message)


class Team:
    """The processes of a search, as each of them sees it; a team of one needs no connection.

    Args:
        processes: this one among them. They must be connected (``process_group``); archs and scores
            are small, so that gloo between CPUs is all it takes, wherever the networks run.
    """

    def __init__(self, processes: Processes = SINGLE) -> None:
        self.processes = processes
        self._in_step = True

    @property
    def size(self) -> int:
        """Archs that are evaluated at a time."""
        return self.processes.world_size

    def evaluate(self, archs: Sequence[Arch], evaluate: Evaluate) -> list[dict[str, float] | Exception]:
        """One round, for the first process: what ``measured`` gives for each arch, or what was raised for it.

        Args:
            archs: at most ``size`` of them; the first is evaluated here, by ``evaluate``.

        Raises:
            UserError: another process is gone without a word.
        """
        self._in_step = False  # until all have answered; an interrupted round leaves the others waiting
        gone = "another process of the search ended (killed, or out of memory?); see its message; --resume goes on"
        with _connected(gone):
            dist.broadcast_object_list([list(archs)], src=0)
        own = _outcome(lambda: measured(evaluate, archs[0]))
        gathered: list[Any] = [None] * self.size
        with _connected(gone):
            dist.gather_object(None, gathered, dst=0)
        self._in_step = True
        return [own, *(_opened(outcome) for outcome in gathered[1 : len(archs)])]

    def serve(self, make_evaluate: Callable[[], Evaluate]) -> None:
        """What every process but the first does: evaluates what it is sent until the first one has ended.

        Args:
            make_evaluate: called when the first arch comes, when the first process has made all files; what it raises
                ends the search.

        Raises:
            UserError: the first process is gone without a word.
        """
        rank, evaluate = self.processes.rank, None
        while (archs := self._receive()) is not None:
            outcome: Any = None
            if rank < len(archs):
                try:
                    evaluate = evaluate or make_evaluate()
                    outcome = measured(evaluate, archs[rank])
                except Exception as error:
                    outcome = _failure(rank, error)
            with _connected(self._left_alone):
                dist.gather_object(outcome, dst=0)

    def dismiss(self) -> None:
        """Ends the others' ``serve``; called by the first process, whatever happened to the search. A process that has
        died since the last round is ignored, so that the results are not lost."""
        if self.processes.several and self._in_step:
            with suppress(RuntimeError):
                dist.broadcast_object_list([None], src=0)

    def _receive(self) -> list[Arch] | None:
        message: list[Any] = [None]
        with _connected(self._left_alone):
            dist.broadcast_object_list(message, src=0)
        return message[0]

    @property
    def _left_alone(self) -> str:
        return f"process {self.processes.rank}: the first process ended before the search did; see its message"


@contextmanager
def _connected(otherwise: str) -> Iterator[None]:
    """Turns a failure of the block's call to the other processes into a UserError with the message ``otherwise``."""
    try:
        yield
    except RuntimeError:
        raise UserError(otherwise) from None


def _outcome(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except Exception as error:
        return error


def _opened(outcome: Any) -> Any:
    return outcome.as_error() if isinstance(outcome, _Failure) else outcome


def _failure(rank: int, error: Exception) -> _Failure:
    if isinstance(error, UserError):
        return _Failure(str(error), of_user=True)
    return _Failure(f"process {rank} failed: {''.join(traceback.format_exception(error)).rstrip()}", of_user=False)

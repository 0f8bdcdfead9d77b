"""``LatencyTable``: the latency of every arch of a space, predicted from measured times of its parts.

A part is measured as a separate network, as in the tables of ProxylessNAS (Cai et al. 2019). The overhead of a call is
measured with a network of one activation on one number, subtracted from every part and added once. Sums of parts still
differ from whole networks: a runtime changes layouts at both ends of a network, and data stay in the cache from one
part to the next. A scale and an offset, fitted on a few whole networks of the space, correct for that.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from tqdm import tqdm

from reid.errors import UserError
from reid.locks import locked
from search.costs import CostTable
from search.latency.device import Device
from search.latency.draws import spread_archs
from search.latency.kit.measure import take_turns
from search.latency.measure import ROUNDS, SECONDS, clock_of
from search.latency.parts import NULL, Part, network_of, parts_of, space_parts
from search.latency.runners import cpu_threads, prepare
from search.latency.store import Measured, Store, name_of, open_store, store_path
from search.latency.targets import Target, check_available
from supernet.arch import Arch
from supernet.space import Space

GROUP = 1024
"""Parts that are measured in turn. Many, so that a busy spell of the machine is short against their rounds, and that
each finds its weights out of the cache as within a network; no more, since all are held in memory."""

FITTED = 16
"""Whole networks that scale and offset are fitted on."""

SAVE_SECONDS = 5.0
"""Most that an interrupted measurement loses; longer than ``SECONDS``, so that saved times were measured that long."""


@dataclass(frozen=True)
class Correction:
    """``scale`` times the sum plus ``offset_ms``; ``error`` is the median relative one on the networks fitted on."""

    scale: float
    offset_ms: float
    error: float


@dataclass(frozen=True, eq=False)
class LatencyTable:
    """Times of parts on a target.

    Attributes:
        target: where they were measured.
        parts: ms of each part, without the overhead of a call.
        call_ms: overhead of a call.
        correction: see the module.
        fitted: the whole networks that the correction was fitted on, and the ms that they took.
        path: the file that holds the times.
        note: a line for the user if the file's old times could not be used, else empty.
        device: where they were measured, if that is another machine.
    """

    target: Target
    parts: Mapping[Part, float]
    call_ms: float
    correction: Correction
    fitted: Mapping[Arch, float]
    path: Path
    note: str = ""
    device: Device | None = None

    @property
    def name(self) -> str:
        """The target's name, as ``--target`` takes it."""
        return self.target.name if self.device is None else self.device.name

    def latency(self, arch: Arch) -> float:
        """Predicted ms of a call of ``build_network(arch)``, one batch of the target's size.

        Raises:
            UserError: the arch has a part that no arch of the table's space has.
        """
        try:
            whole = sum(map(self.parts.__getitem__, parts_of(arch)), self.call_ms)
        except KeyError as part:
            raise UserError(
                f"latency table {self.path} has no part {part}; build a table for this arch's space"
            ) from None
        return self.correction.scale * whole + self.correction.offset_ms


def build_table(
    space: Space,
    target: Target,
    folder: Path,
    *,
    costs: CostTable | None = None,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
    progress: bool = True,
) -> LatencyTable:
    """The table of ``space``, at its input size, on ``target``; what ``folder`` does not hold yet is measured.

    Times are written every few seconds, so an interrupted measurement continues where it stopped. If another process is
    measuring in ``folder``, this one waits: the two would disturb each other's times, and one of the two tables, which
    a search may have used, would be lost.

    Args:
        costs: what has been counted already; networks to fit on are spread over the FLOPs.
        rounds, seconds: how long each group is measured; see ``take_turns``.

    Raises:
        UserError: the machine cannot run the target.
    """
    check_available(target)
    path = store_path(folder, space, target.name)
    parts, networks = [NULL, *space_parts(space)], spread_archs(space, FITTED, "fit", costs)
    store = open_store(path, target)
    if _left(store, [*parts, *networks], rounds):
        with _alone(folder, progress):
            store = open_store(path, target)  # includes times that another process has measured since
            with tqdm(total=len(parts) + len(networks), desc=f"latency on {target.name}", disable=not progress) as bar:
                _measure(store, parts, target, rounds, seconds, bar)
                _measure(store, networks, target, rounds, seconds, bar)
    table = table_of(store, target, parts[1:], networks)
    store.save({"space": space.name, "input_size": list(space.input_size), "correction": vars(table.correction)})
    return table


def table_of(
    store: Store, target: Target, parts: Sequence[Part], networks: Sequence[Arch], device: Device | None = None
) -> LatencyTable:
    """The table of times in the store: of ``parts``, ``NULL``, and the whole ``networks`` that it is fitted on."""
    call = store.least_ms(name_of(NULL))
    times = {part: max(store.least_ms(name_of(part)) - call, 0.0) for part in parts}
    sums = [call + sum(times[part] for part in parts_of(arch)) for arch in networks]
    fitted = {arch: store.least_ms(name_of(arch)) for arch in networks}
    correction = fit_correction(sums, list(fitted.values()))
    return LatencyTable(target, times, call, correction, fitted, store.path, store.note, device)


def fit_correction(sums: Sequence[float], measured: Sequence[float]) -> Correction:
    """Least squares of the relative error of ``scale * sum + offset`` over whole networks.

    A scale alone where the sums do not differ, or where the line would not rise.
    """
    x, y = np.asarray(sums, dtype=float), np.asarray(measured, dtype=float)
    scale, offset = np.linalg.lstsq(np.stack([x, np.ones_like(x)], axis=1) / y[:, None], np.ones_like(y))[0]
    if np.ptp(x) <= 1e-9 * x.max() or scale <= 0:
        ratio = x / y
        scale, offset = ratio.sum() / (ratio**2).sum(), 0.0
    error = np.median(np.abs(scale * x + offset - y) / y)
    return Correction(float(scale), float(offset), float(error))


@contextlib.contextmanager
def _alone(folder: Path, progress: bool) -> Iterator[None]:
    """Waits until no other process holds ``folder``, then holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if stack.enter_context(locked(folder)) is False:
            if progress:
                print(f"another process measures latencies for {folder}: waiting for it", flush=True)
            stack.enter_context(locked(folder, wait=True))
        yield


def _left(store: Store, wanted: Sequence[Part | Arch], rounds: int) -> list[Part | Arch]:
    """Those of ``wanted`` that have not had their ``rounds``."""
    return [each for each in wanted if (known := store.times.get(name_of(each))) is None or known.rounds < rounds]


def _measure(
    store: Store, wanted: Sequence[Part | Arch], target: Target, rounds: int, seconds: float, bar: tqdm
) -> None:
    """Brings each of ``wanted`` to ``rounds`` rounds in the store."""
    left = _left(store, wanted, rounds)
    bar.update(len(wanted) - len(left))
    Random("groups").shuffle(left)  # so that differences between groups average out in an arch
    for start in range(0, len(left), GROUP):
        group = left[start : start + GROUP]
        calls = []
        for each in group:
            calls.append(prepare(*network_of(each), target))
            bar.update()
        times = [store.times.setdefault(name_of(each), Measured(float("inf"), 0)) for each in group]
        saved = time.monotonic()
        with cpu_threads(target.threads):
            missing = rounds - min(each.rounds for each in times)
            for round_ in take_turns(calls, missing, seconds, clock_of(target)):
                for known, ms in zip(times, round_, strict=True):
                    known.take(ms)
                if time.monotonic() > saved + SAVE_SECONDS:
                    store.save({})
                    saved = time.monotonic()
        store.save({})

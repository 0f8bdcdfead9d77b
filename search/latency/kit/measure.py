"""Measures the networks of a latency kit on the machine that this runs on, and writes times.json.

    python3 measure.py

needs Python 3.8 or later, numpy and onnxruntime, and the two files beside it: manifest.json and networks.zip. Do not
use the machine meanwhile. To continue an interrupted measurement, run the same command again. Copy times.json back to
where the kit was made.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

MANIFEST, NETWORKS, TIMES = "manifest.json", "networks.zip", "times.json"

FORM = 1
"""Version of the manifest's and the times' format."""

WARM_UP = 5

SAVE_SECONDS = 5.0
"""Seconds between saves: a machine that is switched off loses at most these."""

GROUP = 256
"""Networks that take turns, all held in memory. A large number makes a busy spell of the machine short compared with a
round."""


class KitError(Exception):
    """An error that the user can fix; its message is one line."""


def take_turns(
    calls: Sequence[Callable], rounds: int, seconds: float = 0.0, clock: Callable[[], float] = time.perf_counter
) -> Iterator[list[float]]:
    """Calls each of ``calls`` twice per round; yields the ms of the second calls, round by round, without warm-up.

    The first call brings the weights back into the cache, where they are when a network is called repeatedly, so the
    number of networks taking turns does not matter. Ends after ``rounds`` rounds and ``seconds`` seconds, whichever is
    later.
    """
    end = time.perf_counter() + seconds
    for number in count():
        if number >= WARM_UP + rounds and time.perf_counter() >= end:
            break
        times = []
        for call in calls:
            call()
            start = clock()
            call()
            times.append((clock() - start) * 1e3)
        if number >= WARM_UP:
            yield times


def cpu_clock(threads: int) -> Callable[[], float]:
    """The clock, in seconds, for calls on this number of CPU threads: for one thread its own CPU time, which other
    programs do not affect; wall time for several threads, and on Windows, where thread time has steps of 16 ms."""
    return time.thread_time if threads == 1 and os.name != "nt" else time.perf_counter


def onnx_call(model: bytes, shape: Sequence[int], threads: int) -> Callable[[], list]:
    """A call of an ``.onnx`` model on zeros of ``shape`` (input ``images``), by ONNX Runtime with default options."""
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {"images": numpy.zeros(tuple(shape), numpy.float32)}
    return lambda: session.run(None, feed)


def processor() -> str:
    """The model name of the board or processor."""
    # On Linux, the platform module gives only the architecture.
    for file, key in (("/proc/device-tree/model", ""), ("/proc/cpuinfo", "model name")):
        try:
            lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(key):
                return (line.partition(":")[2] if key else line).strip("\0 ")
    return platform.processor() or platform.machine()


def describe_machine() -> dict[str, str]:
    """What the times are valid for."""
    import numpy
    import onnxruntime

    return {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "onnxruntime": onnxruntime.__version__,
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": numpy.__version__,
    }


def measure(folder: Path, out: Path, rounds: int | None, seconds: float | None, group: int) -> dict:
    """Measures every network of the kit in ``folder`` until it has ``rounds`` rounds; returns the contents of ``out``.

    Args:
        rounds, seconds: see ``take_turns``; ``None`` for the manifest's.
        group: number of networks that take turns.

    Raises:
        KitError: a file of the kit is missing or damaged, ``out`` holds times of another kit or machine or cannot be
            written, or the kit needs more threads than there are cores.
    """
    kit = read_json(folder / MANIFEST)
    if kit.get("form") != FORM or not {"rule", "parts", "networks", "files"} <= kit.keys():
        raise KitError(f"{folder / MANIFEST} is not a manifest of this program; copy all files of the kit again")
    rule = kit["rule"]
    rounds = rule["rounds"] if rounds is None else rounds
    seconds = rule["seconds"] if seconds is None else seconds
    threads, cores = rule["threads"], os.cpu_count() or 1
    if threads > cores:
        raise KitError(
            f"the kit is for {threads} threads, but this machine has {cores} cores; make a kit with fewer threads"
        )
    done = begin(out, kit, describe_machine(), cpu_clock(threads).__name__)
    try:
        write_json(out, done)  # notice before an hour of measurements if it cannot be written
    except OSError as error:
        raise KitError(f"{out} cannot be written ({error.strerror}); name another file with --out") from None
    print("{processor}; onnxruntime {onnxruntime}".format(**done["machine"]), flush=True)
    parts, whole = (sorted(set(kit[kind].values())) for kind in ("parts", "networks"))
    with zipfile.ZipFile(folder / NETWORKS) as models:
        for words, wanted in (("parts", parts), ("whole networks", whole)):
            left = [each for each in wanted if done["times"].get(each, (0, 0))[1] < rounds]
            random.Random("groups").shuffle(left)  # so that differences between groups average out in a network
            for start in range(0, len(left), group):
                own, at = left[start : start + group], len(wanted) - len(left) + start
                print(f"{words} {at + 1} to {at + len(own)} of {len(wanted)}", flush=True)
                calls = [onnx_call(read_model(models, each), kit["files"][each], threads) for each in own]
                missing = rounds - min(done["times"].get(each, (0, 0))[1] for each in own)
                measure_group(own, take_turns(calls, missing, seconds, cpu_clock(threads)), rounds, done, out)
    done["finished"] = True
    write_json(out, done)
    return done


def begin(out: Path, kit: dict, machine: dict[str, str], clock: str) -> dict:
    """The times in ``out`` to continue with; without such a file, none yet."""
    done = {"form": FORM, "finished": False, "machine": machine, "clock": clock, "times": {}, "kit": kit}
    if not out.exists():
        return done
    before = read_json(out)
    if before.get("kit") != kit:
        raise KitError(f"{out} has the times of another kit; move it away, or give another --out")
    try:
        known = {name: before["machine"][name] for name in ("processor", "onnxruntime")}
        times = {name: [float(ms), int(rounds)] for name, (ms, rounds) in before["times"].items()}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise KitError(f"{out} is damaged; remove it") from None
    for name, value in known.items():
        if value != machine[name]:
            raise KitError(f"{out} was measured with another {name} ({value}); move it away, or give another --out")
    return {**done, "times": times}


def measure_group(names: list[str], turns: Iterator[list[float]], rounds: int, done: dict, out: Path) -> None:
    """Records the times that ``turns`` yields for the networks ``names`` in ``done`` and writes ``done`` into ``out``.

    Until ``turns`` has ended, every network is recorded with fewer than ``rounds`` rounds, whatever their real number:
    the group's minimum of seconds may not be over yet, and a resumed measurement must not take it for finished.
    """
    before = {name: done["times"].get(name, (float("inf"), 0)) for name in names}
    missing, number = rounds - min(seen for _, seen in before.values()), 0
    saved = begun = time.monotonic()
    try:
        for number, turn in enumerate(turns, start=1):
            for name, ms in zip(names, turn):  # noqa: B905  (Python 3.8 has no strict)
                least, seen = done["times"].get(name, before[name])
                done["times"][name] = [round(min(least, ms), 6), min(seen + 1, rounds - 1)]
            now = time.monotonic()
            if sys.stderr.isatty():
                left = max(missing - number, 0) * (now - begun) / (number + WARM_UP)
                print(f"\r  round {number} of {missing}, {left:.0f} s left  ", end="", file=sys.stderr, flush=True)
            if now > saved + SAVE_SECONDS:
                write_json(out, done)
                saved = now
        for name in names:
            done["times"][name][1] = before[name][1] + number
    finally:
        if sys.stderr.isatty():
            print("\r" + 50 * " ", end="\r", file=sys.stderr)
        write_json(out, done)


def read_model(models: zipfile.ZipFile, name: str) -> bytes:
    """The ``.onnx`` file whose SHA-256 is ``name``."""
    try:
        model = models.read(f"{name}.onnx")
    except (KeyError, zipfile.BadZipFile, zlib.error):
        model = b""
    if hashlib.sha256(model).hexdigest() != name:
        raise KitError(f"{NETWORKS} is damaged; copy the kit again")
    return model


def read_json(path: Path) -> dict:
    """The contents of a JSON file; raises KitError if it is missing, truncated or of another kind."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise ValueError
        return data
    except OSError as error:
        raise KitError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise KitError(f"{path} is damaged; {'copy the kit again' if path.name == MANIFEST else 'remove it'}") from None


def write_json(path: Path, data: dict) -> None:
    """Writes atomically: whenever the machine is switched off, the file is either the old or the new one."""
    handle, name = tempfile.mkstemp(dir=str(path.parent), prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # with mkstemp's 0600, other users could not fetch it
        os.replace(name, str(path))
    except BaseException:
        os.unlink(name)
        raise


def main(arguments: list[str] | None = None) -> int:
    folder = Path(__file__).resolve().parent
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form, allow_abbrev=False)
    parser.add_argument("--rounds", type=int, metavar="N", help="minimum rounds per network (default: the manifest's)")
    parser.add_argument("--seconds", type=float, metavar="S", help="minimum time per group (default: the manifest's)")
    parser.add_argument(
        "--group", type=int, default=GROUP, metavar="N", help=f"networks in memory at once (default: {GROUP})"
    )
    parser.add_argument("--out", type=Path, default=folder / TIMES, metavar="FILE", help=f"default: {TIMES} here")
    read = parser.parse_args(arguments)
    try:
        if read.group < 1 or (read.rounds is not None and read.rounds < 1):
            raise KitError("--rounds and --group: give whole numbers of at least 1")
        if read.seconds is not None and not 0 <= read.seconds < float("inf"):
            raise KitError("--seconds: give a number of at least 0")
        done = measure(folder, read.out, read.rounds, read.seconds, read.group)
    except ImportError as error:
        print(f"error: {error.name} is missing: pip install numpy onnxruntime", file=sys.stderr)
        return 2
    except (KitError, OSError, zipfile.BadZipFile) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; run the same command to continue", file=sys.stderr)
        return 130
    print(f"{len(done['times'])} networks measured: copy {read.out} back to where the kit was made")
    return 0


if __name__ == "__main__":
    sys.exit(main())

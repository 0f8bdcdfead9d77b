"""How tools end where memory or the disk runs out."""

from __future__ import annotations

import errno
import inspect
import os
import re
import threading
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from reid.engine.runs.journal import Journal
from tools.cli import run_tool
from tools.endings import hushed_threads, line_of
from tools.jobs.experiment import DEFAULT_CONFIG, load_experiment

ROOT = Path(__file__).resolve().parents[2]
TOOLS = [path for path in sorted((ROOT / "tools").glob("*.py")) if "run_tool(main" in path.read_text()]

CUDA = (
    "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.2 GiB is free."
)
CPU = (
    "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
    "4000000000000 bytes. Error code 12 (Cannot allocate memory)"
)
ERRORS = [
    (torch.OutOfMemoryError(CUDA), "on the GPU (2.50 GiB more were asked for)"),
    (RuntimeError(CPU), "(4000000000000 bytes more were asked for)"),
    (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."), "(8 bytes more"),
    (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"), "on the GPU"),
    (MemoryError(), "out of memory: "),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory: "),
]


@pytest.mark.parametrize(("error", "words"), ERRORS, ids=lambda each: type(each).__name__)
def test_a_tool_ends_in_one_line_with_a_cure(call, monkeypatch, refused, error, words, tmp_path):
    def fail(*_):
        raise error

    assert words in line_of(error, "give smaller batches")
    monkeypatch.setattr("tools.jobs.training.wanted.find_network", fail)
    done = call("retrain", "--arch", "resnet18", "--out", tmp_path / "out")
    refused(
        done, r"^error: out of memory.*: give smaller images \(--set .*\), or end other programs that use memory there$"
    )


@pytest.mark.parametrize("tool", [path.stem for path in TOOLS], ids=str)
def test_the_cure_is_of_options_that_the_tool_has(call, tool, monkeypatch):
    """Each program gives ``run_tool`` its own; those of experiments may do with the common one."""
    monkeypatch.setenv("COLUMNS", "200")
    found = re.search(r'less="(.*?)"', (ROOT / "tools" / f"{tool}.py").read_text())
    less = found[1] if found else inspect.signature(run_tool).parameters["less"].default
    options, printed = re.findall(r"--[a-z-]+", less), call(tool, "--help", tiny=False).out
    assert all(re.search(rf"^  {option}\b", printed, re.MULTILINE) for option in options), less
    load_experiment(DEFAULT_CONFIG, re.findall(r"--set ([\w.]+=[^ )]+)", less))


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), KeyError("memory")])
def test_other_faults_keep_their_traceback(error):
    assert line_of(error, "") is None


def test_a_process_whose_companion_has_ended_says_so_in_a_line():
    """Else gloo's traceback would bury the one line of the process that was given what cannot be."""
    store, made = dist.HashStore(), {}

    def join(rank: int) -> None:
        made[rank] = dist.ProcessGroupGloo(store, rank, 2, timedelta(seconds=10))

    threads = [threading.Thread(target=join, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    del made[1]  # its connections close, as at the end of a process
    with pytest.raises(RuntimeError) as caught:
        made[0].allreduce([torch.ones(1)]).wait()
    assert line_of(caught.value, "").startswith("another of torchrun's processes has ended; "), str(caught.value)


def _full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_one_line_whatever_was_being_written(monkeypatch, tmp_path):
    """TensorBoard writes in a thread of its own, which would end with a traceback beside the line."""
    told = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    monkeypatch.setattr("tensorboard.compat.tensorflow_stub.io.gfile.LocalFileSystem.append", _full)
    with pytest.raises(OSError) as caught, hushed_threads(), Journal(tmp_path, 0, None, print) as journal:
        journal.write({"epoch": 1, "loss": 0.5})
    assert line_of(caught.value, "") == (
        f"{tmp_path}/tensorboard: No space left on device; make room there, or name a writable folder with --out"
    )
    named = OSError(errno.EACCES, "Permission denied", b"runs/x")  # as TensorBoard names files
    assert line_of(named, "") == "runs/x: Permission denied; name a writable folder with --out"
    assert told == []


def test_a_thread_that_fails_otherwise_is_heard(monkeypatch):
    told = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    with hushed_threads():
        for target in (_full, lambda: 1 / 0):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert [each.exc_type for each in told] == [ZeroDivisionError] and threading.excepthook == told.append

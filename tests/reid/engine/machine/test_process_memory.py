"""Peak memory against allocations of known sizes."""

from __future__ import annotations

import importlib
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from reid.engine.machine import process_memory
from reid.engine.machine.process_memory import peak_memory_mib, peak_resident_mib, reset_peak_memory

ROOT = Path(__file__).resolve().parents[4]

JOB = """
from resource import RUSAGE_SELF, getrusage
from reid.engine.machine.process_memory import peak_resident_mib
before = peak_resident_mib()
block = bytearray(b"x") * (300 * 2**20)
during = peak_resident_mib()
del block
print(before, during, peak_resident_mib(), getrusage(RUSAGE_SELF).ru_maxrss / 1024)
"""
LARGE_PARENT = """
import subprocess, sys
block = bytearray(b"x") * (1100 * 2**20)
print(subprocess.check_output([sys.executable, "-c", sys.argv[1]], text=True))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a parent's peak is handed down on Linux")
def test_peak_of_a_job_that_a_larger_process_started():
    done = subprocess.run(
        [sys.executable, "-c", LARGE_PARENT, JOB], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    before, during, after, maxrss = map(float, done.stdout.split())
    assert during - before == pytest.approx(300, abs=5) and after == pytest.approx(during, abs=5)
    assert during < 1100 < maxrss  # the parent's, which is why ru_maxrss is not used on Linux


def test_on_the_cpu_it_is_the_process():
    assert peak_memory_mib(torch.device("cpu")) == pytest.approx(peak_resident_mib(), rel=0.05)
    assert peak_resident_mib() > 100  # torch alone takes more


def test_where_the_kernel_does_not_say(monkeypatch, tmp_path):
    """gVisor, on which notebooks and functions of clouds run, has no ``VmHWM``."""
    (tmp_path / "status").write_text("Name:\tpython\nVmSize:\t  1000 kB\nVmRSS:\t  900 kB\nThreads:\t1\n")
    for name in ("status", "none"):
        monkeypatch.setattr(process_memory, "_STATUS", tmp_path / name)
        assert peak_resident_mib() > 100


def test_where_nobody_says(monkeypatch, tmp_path):
    """On Windows, where a training must be able to start all the same."""
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.setattr(importlib.reload(process_memory), "_STATUS", tmp_path / "none")
    assert math.isnan(process_memory.peak_memory_mib(torch.device("cpu")))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_it_is_torchs_peak():
    device, earlier = torch.device("cuda"), torch.empty(256 * 2**20, dtype=torch.uint8, device="cuda")
    del earlier
    reset_peak_memory(device)
    before = peak_memory_mib(device)
    block = torch.empty(64 * 2**20, dtype=torch.uint8, device="cuda")
    assert peak_memory_mib(device) - before == pytest.approx(64, abs=3)
    del block


def test_only_a_cuda_device_begins_anew(monkeypatch):
    reset = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset.append)
    for name in ("cpu", "cuda:1"):
        reset_peak_memory(torch.device(name))
    assert reset == [torch.device("cuda:1")]

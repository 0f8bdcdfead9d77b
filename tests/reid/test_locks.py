"""Locks on files and folders."""

from __future__ import annotations

import fcntl
import os
import threading

import pytest

from reid.locks import locked


def test_a_folder_is_held_once_and_let_go(tmp_path):
    with locked(tmp_path) as first, locked(tmp_path) as second:
        assert first is True and second is False
    with pytest.raises(KeyboardInterrupt), locked(tmp_path):
        raise KeyboardInterrupt
    with locked(tmp_path) as again:
        assert again is True
    assert list(tmp_path.iterdir()) == []


def test_it_is_waited_for(tmp_path):
    held, waits = threading.Event(), []

    def hold():
        with locked(tmp_path):
            held.set()
            waits.append(free.wait(10))

    free, holder = threading.Event(), threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    threading.Timer(0.05, free.set).start()
    with locked(tmp_path, wait=True) as got:
        assert got is True and waits == [True]
    holder.join()


def test_where_there_are_no_locks_nobody_can_tell(tmp_path, monkeypatch):
    def none(descriptor, how):
        raise OSError("no locks here")

    monkeypatch.setattr(fcntl, "flock", none)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    with locked(tmp_path) as held:
        assert held is None
    assert before is None or len(os.listdir("/proc/self/fd")) == before

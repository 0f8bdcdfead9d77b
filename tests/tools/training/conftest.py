"""Trainings by ``tools/retrain.py`` in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def train(call, small_arch):
    def run(out: Path, *options: object, network: object = None):
        settings = [part for option in options for part in (("--set", option) if "=" in str(option) else (option,))]
        return call("retrain", "--arch", network or small_arch, "--out", out, *settings)

    return run


@pytest.fixture
def refused_at_once(refused) -> Callable[..., None]:
    """Refused as bad input is, before the run's folder is begun."""

    def check(done, out: Path, message: str) -> None:
        refused(done, message)
        assert not out.exists()

    return check


@pytest.fixture(scope="module")
def teacher_run(tmp_path_factory) -> Path:
    """Where ``teach`` leaves its run, once for the module."""
    return tmp_path_factory.mktemp("teacher") / "run"


@pytest.fixture
def teach(train, teacher_run) -> Path:
    """A teacher with a cosine classifier and a normalised embedding."""
    if not teacher_run.exists():
        cosine = "retrain.losses.classification={kind: am_softmax, scale: 12, margin: 0.2}"
        done = train(teacher_run, cosine, "retrain.head={normalize: true}")
        assert done.code == 0, done.err
    return teacher_run

"""A student's run keeps which weights taught it: its teacher may be trained again in the same folder."""

from __future__ import annotations

import hashlib

import pytest
import yaml

from reid.engine.distributed import SINGLE
from reid.errors import UserError
from reid.files import read_yaml, write_text
from reid.losses.config import DistillationConfig
from tools.jobs.ownership import training_in
from tools.jobs.training.teacher import teacher_sha256


def test_of_a_run_a_file_and_none(tmp_path):
    file = write_text(tmp_path / "last.safetensors", "weights")
    digest = {"teacher_sha256": hashlib.sha256(b"weights").hexdigest()}
    for teacher, told in ((tmp_path, digest), (file, digest), (tmp_path / "gone", {})):
        assert teacher_sha256(DistillationConfig(teacher=str(teacher), similarity=1.0)) == told
    assert teacher_sha256(DistillationConfig()) == {}
    both = DistillationConfig(teacher=(str(tmp_path), str(file)), similarity=1.0)
    assert teacher_sha256(both) == {"teacher_sha256": ", ".join([digest["teacher_sha256"]] * 2)}


def test_another_teacher_ends_a_resumed_student_and_an_old_run_goes_on(make_job, tmp_path):
    """That was begun before the digest was kept."""
    job = make_job(tmp_path / "run", resume=True)

    def open_with(digest: str) -> None:
        with training_in(job, {"seed": 0, "teacher_sha256": digest}, lambda: None, SINGLE):
            pass

    open_with("a")
    open_with("a")
    with pytest.raises(UserError, match="begun with another configuration .teacher_sha256: a then, b now.; resume"):
        open_with("b")
    saved = read_yaml(job.out / "config.yaml")
    write_text(job.out / "config.yaml", yaml.safe_dump({"seed": saved["seed"]}))
    open_with("b")

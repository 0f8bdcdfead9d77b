"""``Job``: a tool's common options, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from reid.errors import UserError
from reid.numbers import MOST_TRAINED
from tools.jobs.experiment import Experiment
from tools.typed import to_type


@dataclass(frozen=True)
class Job:
    """The common options, read.

    Attributes:
        experiment: by ``--config``, ``--set`` and the options that stand for a key.
        data: folder of the data set; ``None`` where it is to be found.
        out: run folder to write.
        resume: a run in ``out`` is gone on with; by a job that has nothing to go on with, it is replaced.
        seed: of weights, batches, augmentation and search.
        device: where networks run.
        common: of what was typed, the options that the tools of one experiment share.
    """

    experiment: Experiment
    data: Path | None
    out: Path
    resume: bool
    seed: int
    device: torch.device
    common: tuple[str, ...] = ()


def check_trained(option: str, count: int) -> None:
    """Raises UserError if ``option`` asks for less than one training, or for unreasonably many."""
    if not 1 <= count <= MOST_TRAINED:
        raise UserError(f"{option} {count}: must be at least 1, and at most {MOST_TRAINED}")


def next_command(tool: str, job: Job, *options: str) -> str:
    """The command to type after the job: ``tools/<tool>.py`` for the same experiment."""
    return to_type(tool, *job.common, *options)

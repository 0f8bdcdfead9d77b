"""``Job``: a tool's common options, parsed and checked."""

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
    """A tool's common options, parsed.

    Attributes:
        experiment: from ``--config``, ``--set`` and options that stand for a key.
        data: folder of the data set; ``None`` to look in the default places.
        out: run folder to write.
        resume: whether to continue a run in ``out``, or to replace it if the job cannot continue one.
        seed: of weights, batches, augmentation and search.
        device: where networks run.
        common: the typed options that the tools of one experiment share.
    """

    experiment: Experiment
    data: Path | None
    out: Path
    resume: bool
    seed: int
    device: torch.device
    common: tuple[str, ...] = ()


def check_trained(option: str, count: int) -> None:
    """Raises UserError if ``option`` requests less than one training, or unreasonably many."""
    if not 1 <= count <= MOST_TRAINED:
        raise UserError(f"{option} {count}: must be from 1 to {MOST_TRAINED}")


def next_command(tool: str, job: Job, *options: str) -> str:
    """The command ``tools/<tool>.py`` for the same experiment, as the user would type it after the job."""
    return to_type(tool, *job.common, *options)

"""What ``test_train_supernet.py`` runs in each of two processes, with torchrun's variables: ``train_supernet_program.py
FOLDER``. The run is left in ``FOLDER/run``."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import torch

import tools.jobs.data
import tools.jobs.training.train_supernet as job_module
from reid.config import load_config
from reid.engine.machine.distributed import process_group
from tools.jobs.experiment import CONFIGS, Experiment
from tools.jobs.job import Job

TINY = (
    "input_size=[64, 32]",
    "data={holdout_identities: 6}",
    "data.synthetic={train_identities: 14, test_identities: 4, distractors: 2, junk: 1, images_per_camera: 2}",
    "supernet.recipe={epochs: 1, identities: 4, instances: 2, evaluate_every: 1, schedule: {warmup: 0}}",
    "supernet.recipe.optimizer.lr=0.0001",
    "supernet.recipe.augment={flip: 0.0, pad: 0, erase: 0.0}",  # which each process would draw for its own share
    "supernet.sampling.archs=1",
    "search={calibration_batches: 1, calibration_batch_size: 16}",
)


def train(out: Path) -> None:
    experiment = load_config(Experiment, CONFIGS / "demo.yaml", TINY)
    job_module.train_supernet(Job(experiment, None, out, False, 0, torch.device("cpu")))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    tools.jobs.data.ROOT = folder
    job_module.process_group = functools.partial(process_group, init_method=f"file://{folder}/meeting")
    train(folder / "run")

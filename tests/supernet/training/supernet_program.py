"""What ``test_supernet_distributed.py`` runs in each of two processes, with torchrun's variables: ``supernet_program.py
FOLDER``. What each process ends with is left in ``FOLDER/rank<R>.pt``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

import torch
from torch import nn

from reid.data.augment import AugmentConfig
from reid.data.records import ImageSet
from reid.engine import trainer
from reid.engine.batches import training_batches
from reid.engine.machine.device import seeded
from reid.engine.machine.distributed import Processes, from_environment, process_group
from reid.engine.recipe import OptimizerConfig, Recipe, ScheduleConfig
from reid.engine.recipe.averaging import AveragingConfig
from reid.engine.tasks.teacher import Teacher
from reid.engine.training_step import TrainingStep
from reid.losses.config import LossConfig
from reid.models.heads import HeadOutput
from supernet.space import Space, StageSpace
from supernet.supernet import Supernet
from supernet.training import SupernetRecipe, SupernetTask
from supernet.training.sampling import SamplingConfig

CLASSES, EACH, SIZE = 8, 3, (32, 24)
OFF_ON = (False, True)
SPACE = Space(
    "two",
    SIZE,
    (4, 6),
    (
        StageSpace(1, (4,), (1,), (3,), (1,)),
        StageSpace(2, (5, 8), (1, 2), (3, 5), (2, 3), se=OFF_ON, ibn=OFF_ON),
    ),
    (16,),
)
RECIPE = Recipe(
    epochs=2,
    identities=8,
    instances=2,
    optimizer=OptimizerConfig(lr=0.01),
    schedule=ScheduleConfig(name="constant"),
    augment=AugmentConfig(flip=0.0, pad=0, erase=0.0),
    averaging=AveragingConfig("ema", decay=0.5),
    losses=LossConfig(distillation={"teacher": "colours", "logits": 1.0, "similarity": 2.0}),
)
CONFIG = SupernetRecipe(RECIPE, SamplingConfig(archs=2, spread="uniform", attentive="worst"))


class Colours(nn.Module):
    """A teacher's network: an image's mean colour."""

    def outputs(self, images: torch.Tensor) -> HeadOutput:
        colour = images.mean((2, 3))
        return HeadOutput(colour, colour)


def images() -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    pids = torch.arange(CLASSES).repeat_interleave(EACH)
    colours = torch.randint(30, 200, (CLASSES, 3), generator=generator)
    noise = torch.randint(0, 55, (len(pids), *SIZE, 3), generator=generator)
    return ImageSet((colours[pids][:, None, None] + noise).to(torch.uint8), pids, torch.ones_like(pids))


def train(processes: Processes, run: Path, seed: int) -> dict:
    """The gradients of every step, the weights after them, and the averaged ones that are kept.

    In float64: rounding grows within some steps to what it should be told from.
    """
    batches = training_batches(images(), RECIPE, SIZE, 3, processes.device, processes)
    with seeded(0):
        teacher = Teacher(Colours(), (nn.Linear(3, CLASSES).double().requires_grad_(False),))
    with seeded(seed):
        task = SupernetTask(Supernet(SPACE), CLASSES, CONFIG, seed=3, teacher=teacher).double()
    backward, gradients = task.backward, []
    task.backward = lambda images, *rest: backward(images.double(), *rest)

    class Watched(TrainingStep):
        def _clip(self) -> torch.Tensor:
            gradients.append({name: p.grad.clone() for name, p in task.named_parameters() if p.grad is not None})
            return super()._clip()

    with mock.patch.object(trainer, "TrainingStep", Watched):
        kept = trainer.fit(task, batches, RECIPE, run, processes.device, processes=processes)
    return {"gradients": gradients, "task": task.state_dict(), "kept": kept.state_dict()}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "run").mkdir(exist_ok=True)
    with process_group(from_environment(torch.device("cpu")), f"file://{folder}/meeting") as processes:
        result = train(processes, folder / "run", seed=7 + processes.rank)
    torch.save(result, folder / f"rank{processes.rank}.pt")

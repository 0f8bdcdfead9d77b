"""What ``test_rollback_distributed.py`` runs in each of two processes, with torchrun's variables: ``rollback_program.py
FOLDER``. The run is left in ``FOLDER/run``, the weight of each process in ``FOLDER/rank<R>.pt``."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

from reid.data.augment import AugmentConfig
from reid.data.records import ImageSet
from reid.engine.batches import training_batches
from reid.engine.machine.distributed import Processes, from_environment, gather_batch, process_group
from reid.engine.recipe import OptimizerConfig, Recipe, ScheduleConfig
from reid.engine.trainer import fit

RECIPE = Recipe(
    epochs=6,
    identities=4,
    instances=2,
    optimizer=OptimizerConfig(lr=0.5, momentum=0.0, weight_decay=0.0),
    schedule=ScheduleConfig(name="constant"),
    augment=AugmentConfig(pad=0),
)


class Valley(nn.Module):
    """The loss ``curve / 2 * w ** 2`` of the whole batch, steep from epoch 3 on; the first process alone says so."""

    def __init__(self, per_epoch: int, first: bool) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([[4.0]]))
        self.turn, self.first = 2 * per_epoch, first

    def backward(self, images, labels, context):
        own = self.w * images.new_ones(len(labels), 1)
        curve = 0.02 if context.number < self.turn else 12.0
        loss = 0.5 * curve * gather_batch(context.processes, own).square().mean()
        context.backward(loss)
        return {"loss": loss.detach() if self.first else loss.detach() * 0}


def train(processes: Processes, run: Path) -> float:
    pids = torch.arange(8).repeat_interleave(4)
    images = ImageSet(torch.zeros(len(pids), 8, 4, 3, dtype=torch.uint8), pids, torch.ones_like(pids))
    batches = training_batches(images, RECIPE, (8, 4), 0, processes.device, processes)
    task = Valley(batches.per_epoch, processes.is_main)
    fit(task, batches, RECIPE, run, processes.device, processes=processes)
    return float(task.w.detach())


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with process_group(from_environment(torch.device("cpu")), f"file://{folder}/meeting") as processes:
        (folder / f"rank{processes.rank}").write_text(repr(train(processes, folder / "run")))

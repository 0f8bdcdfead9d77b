"""What ``test_fit_distributed.py`` runs in each of two processes, with torchrun's variables: ``fit_program.py FOLDER``.

The run is left in ``FOLDER/run``, what each process has in ``FOLDER/rank<R>.pt``.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import torch

import reid.engine.partway as partway
from reid.data.augment import AugmentConfig
from reid.data.records import ImageSet
from reid.engine.batches import training_batches
from reid.engine.doctor import facts_of
from reid.engine.machine.device import seeded
from reid.engine.machine.distributed import Processes, from_environment, process_group
from reid.engine.recipe import LossConfig, OptimizerConfig, Recipe, ScheduleConfig
from reid.engine.recipe.averaging import AveragingConfig
from reid.engine.recipe.stopping import EarlyStopping
from reid.engine.tasks.identity_task import IdentityTask
from reid.engine.tasks.teacher import Teacher
from reid.engine.trainer import Monitor, fit
from reid.models.classifiers import Classifier
from reid.models.heads import HeadConfig, PartsConfig
from supernet.files import arch_from_rows
from supernet.network import build_network

CLASSES, EACH, SIZE = 8, 8, (32, 16)
ARCH = arch_from_rows(((1, 4, 1, 1), (2, 8, 1, 2)), input_size=SIZE, stem=4, last_width=12)
HEAD = HeadConfig(parts=PartsConfig(stripes=2, embedding=4, update="random"))


def recipe(epochs: int) -> Recipe:
    """Everything that sees the whole batch, and nothing that a process draws for its own images."""
    return Recipe(
        epochs=epochs,
        identities=4,
        instances=2,
        head=HEAD,
        optimizer=OptimizerConfig(lr=0.005),
        schedule=ScheduleConfig(name="constant"),
        augment=AugmentConfig(flip=0.0, pad=0, erase=0.0),
        losses=LossConfig(
            triplet={"selection": "random_negative"},
            circle={"weight": 0.01, "scale": 16.0},
            center={"weight": 0.01},
            centroid={"weight": 0.3},
            distillation={"teacher": "a/run", "logits": 0.5, "similarity": 1.0},
        ),
        averaging=AveragingConfig("ema", decay=0.9),
        clip_gradient=3.0,
        evaluate_every=1,
        keep_best=True,
        checkpoint_every=2,
        early_stopping=EarlyStopping(patience=1),
    )


def images() -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    pids = torch.arange(CLASSES).repeat_interleave(EACH)
    colours = torch.randint(30, 200, (CLASSES, 3), generator=generator)
    noise = torch.randint(0, 55, (len(pids), *SIZE, 3), generator=generator)
    return ImageSet((colours[pids][:, None, None] + noise).to(torch.uint8), pids, torch.ones_like(pids))


def train(processes: Processes, run: Path, epochs: int, seed: int, steps: int | None = None) -> dict:
    """The weights of the task, those that are kept, the gradients of the last step, and the number of the first one.

    All goes well until epoch 2, and worse in epoch 3. After so many ``steps`` all processes are interrupted.
    """
    own = recipe(epochs)
    batches = training_batches(images(), own, SIZE, 3, processes.device, processes)
    with seeded(9):
        teacher = Teacher(build_network(ARCH).eval().requires_grad_(False), (Classifier(12, CLASSES),))
    with seeded(seed):
        task = IdentityTask(build_network(ARCH, HEAD), CLASSES, own.losses, teacher)
    looks, numbers, backward = [], [], task.backward

    def counted(images, labels, context):
        if len(numbers) == steps:
            raise KeyboardInterrupt
        numbers.append(context.number)
        return backward(images, labels, context)

    task.backward = counted

    def evaluate(task) -> dict[str, float]:
        with torch.no_grad():
            looks.append(float(task.network.eval()(torch.full((1, 3, *SIZE), 0.5)).sum()))
        epoch = sum(1 for _ in (run / "metrics.jsonl").open()) + 1 if (run / "metrics.jsonl").exists() else 1
        return {"holdout_mAP": 0.2 * min(epoch, 2) - 0.1 * (epoch > 2), "look": looks[-1]}

    facts = facts_of(own, images().pids, batches.per_epoch)
    kept = fit(
        task,
        batches,
        own,
        run,
        processes.device,
        monitor=Monitor(evaluate),
        facts=facts,
        processes=processes,
        on_estimate=lambda seconds: print("estimated"),
    )
    gradients = {name: p.grad for name, p in task.named_parameters() if p.grad is not None}
    states = {"task": task.state_dict(), "kept": kept.state_dict(), "gradients": gradients}
    return states | {"looks": len(looks), "begun": numbers[0]}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with process_group(from_environment(torch.device("cpu")), f"file://{folder}/meeting") as processes:
        # Each begins with weights of its own, and the second training goes on from the first one's checkpoint; the last
        # one from what the second had kept when it was interrupted.
        first = train(processes, folder / "run", 1, seed=7 + processes.rank)
        partway.EVERY_SECONDS, partway.SHARE = 0.0, float("inf")
        with contextlib.suppress(KeyboardInterrupt):
            train(processes, folder / "run", 5, seed=13 + processes.rank, steps=3)
        second = train(processes, folder / "run", 5, seed=20 + processes.rank)
    torch.save({"first": first, "second": second}, folder / f"rank{processes.rank}.pt")

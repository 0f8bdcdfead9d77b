"""torchreid's training loop beside ours; for ``training.py``.

The same on both sides: the network with its classifier, on the same device in the same process; the same JPEG files
(synthetic persons of 128x64, the size of Market-1501's); batches of as many images, four of each person; flip, crop and
erasing; label-smoothed cross-entropy after the neck and batch-hard triplets before it; SGD with Nesterov momentum and
one rate; fp32 unless ``--precision`` says otherwise, which torchreid cannot. Neither side is compiled unless
``--compile`` says so.

What differs is how each does it by its own defaults. torchreid's ``ImageDataManager`` decodes and augments each image
anew in every epoch, one by one, in so many workers, and its ``ImageTripletEngine`` reads three losses in every step.
Ours decodes each file once, before the first epoch (the seconds are printed, and not counted), holds the pixels,
augments whole batches, and reads the loss every 20 steps. Its crop is of a padded image, torchreid's of one enlarged by
an eighth, in half of the cases. Weights and images are channels-last here.

Only steps are timed, from the end of an epoch's first to the end of its last; so torchreid's workers are started, and
its first batches made, outside of what is counted. Epochs of the two take turns.

torchreid imports cv2 and gdown, for pictures and downloads that nothing here asks for. Where they are not installed,
empty modules stand in for them.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import itertools
import os
import statistics
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from reid.data.cache import load_images
from reid.data.datasets.market1501 import read_market1501
from reid.data.synthetic import SyntheticConfig, make_synthetic
from reid.engine.batches import training_batches
from reid.engine.epoch import READ_EVERY
from reid.engine.recipe import Recipe
from reid.engine.tasks.identity_task import IdentityTask
from reid.engine.training_step import TrainingStep
from reid.errors import UserError

LIMIT = 1.3
STEPS, ROUNDS = 8, 3
"""Steps of an epoch at least, and epochs of each side that are timed."""


def find_torchreid(folder: Path | None) -> types.ModuleType | None:
    """torchreid from a checkout or as it is installed; ``None`` where it is not.

    Raises:
        UserError: the folder holds none, or it cannot be imported.
    """
    if folder is not None:
        if not (folder / "torchreid" / "engine").is_dir():
            raise UserError(
                f"--torchreid {folder}: no torchreid/engine in it; give a checkout of KaiyangZhou/deep-person-reid"
            )
        sys.path.insert(1, str(folder))
    elif importlib.util.find_spec("torchreid") is None:
        return None
    for name in ("cv2", "gdown"):
        if importlib.util.find_spec(name) is None:
            sys.modules[name] = types.ModuleType(name)
    try:
        with _quiet():
            return importlib.import_module("torchreid")
    except ImportError as error:
        raise UserError(f"torchreid cannot be imported: {error}") from None


def compare(
    torchreid: types.ModuleType,
    network: Callable[[], nn.Module],
    size: tuple[int, int],
    recipe: Recipe,
    device: torch.device,
    workers: Sequence[int],
) -> None:
    """Prints images/s of both sides and their ratio."""
    batch = recipe.identities * recipe.instances
    # An epoch of either side is at least so many steps long; each person has 6 to 18 pictures.
    persons = max(2 * recipe.identities, STEPS * batch // 8)
    with tempfile.TemporaryDirectory() as folder:
        files = make_synthetic(Path(folder) / "market1501", SyntheticConfig(persons, 2, 1, 1), progress=False)
        start = time.perf_counter()
        train = read_market1501(files, check_counts=False).train
        data = load_images(train, Path(folder) / "cache", size, progress=False)
        print(f"  {len(train)} files decoded once in {time.perf_counter() - start:.1f} s; torchreid reads them anew")
        sides = {"ours": _ours(network(), data, size, recipe, device)}
        for count in workers:
            sides[f"torchreid, {count} workers"] = _theirs(torchreid, network(), folder, size, recipe, device, count)
        speeds: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(1 + ROUNDS):
            for name, epoch in sides.items():
                ends = epoch()
                speeds[name].append(batch * (len(ends) - 1) / (ends[-1] - ends[0]))
    medians = {name: statistics.median(values[1:]) for name, values in speeds.items()}  # the first warms up
    for name, speed in medians.items():
        print(f"  {name:<22} {speed:8.1f} images/s")
    best = max((name for name in medians if name != "ours"), key=medians.__getitem__)
    ratio = statistics.median(a / b for a, b in zip(speeds["ours"][1:], speeds[best][1:], strict=True))
    print(f"  ours to torchreid      {ratio:8.2f}  (limit {LIMIT})")


def _ours(network: nn.Module, data, size, recipe: Recipe, device: torch.device) -> Callable[[], list[float]]:
    batches = training_batches(data, recipe, size, 0, device)
    task = IdentityTask(network, batches.classes, recipe.losses)
    task.to(device, memory_format=torch.channels_last).train()
    step, numbers = TrainingStep(task, recipe, device, batches.per_epoch), itertools.count()

    def epoch() -> list[float]:
        ends = []
        number = next(numbers)
        for within, (images, labels) in enumerate(itertools.islice(batches.epoch(number + 1), STEPS)):
            log, _ = step(images, labels, number * batches.per_epoch + within)
            if within % READ_EVERY == 0 or within == STEPS - 1:
                float(log["loss"])  # waits for the device
            ends.append(time.perf_counter())
        return ends

    return epoch


class _Wrapped(nn.Module):
    """A network of ours as torchreid's engine calls one: logits and features in training."""

    def __init__(self, task: IdentityTask) -> None:
        super().__init__()
        self.network, self.classifier = task.network, task.classifiers[0]

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        output = self.network.outputs(images)
        return self.classifier(output.embedding), output.feature


def _theirs(
    torchreid, network: nn.Module, root: str, size, recipe: Recipe, device: torch.device, workers: int
) -> Callable[[], list[float]]:
    on_gpu = device.type == "cuda"
    with _quiet():
        manager = torchreid.data.ImageDataManager(
            root=root,
            sources="market1501",
            height=size[0],
            width=size[1],
            transforms=["random_flip", "random_crop", "random_erase"],
            use_gpu=on_gpu,
            batch_size_train=recipe.identities * recipe.instances,
            workers=workers,
            num_instances=recipe.instances,
            train_sampler="RandomIdentitySampler",
        )
    task = IdentityTask(network, manager.num_train_pids, recipe.losses)
    model = _Wrapped(task).to(device)
    steps = recipe.optimizer
    optimizer = torchreid.optim.build_optimizer(
        model,
        optim="sgd",
        lr=steps.lr,
        weight_decay=steps.weight_decay,
        momentum=steps.momentum,
        sgd_nesterov=steps.nesterov,
    )
    triplet = recipe.losses.triplet
    engine = torchreid.engine.ImageTripletEngine(manager, model, optimizer, margin=triplet.margin, use_gpu=on_gpu)
    ends: list[float] = []
    forward_backward = engine.forward_backward

    def counted(data):
        summary = forward_backward(data)
        ends.append(time.perf_counter())
        if len(ends) == STEPS:
            raise _Enough
        return summary

    engine.forward_backward, engine.max_epoch = counted, 1

    def epoch() -> list[float]:
        ends.clear()
        with _quiet(), contextlib.suppress(_Enough):
            engine.train(print_freq=READ_EVERY)
        return list(ends)

    return epoch


class _Enough(Exception):
    """Raised when an epoch has run its steps."""


@contextlib.contextmanager
def _quiet():
    """Silences torchreid, which prints much to standard output and warns that its evaluator is not built."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

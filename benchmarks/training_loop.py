"""Whole training loop against the bare step: what sampling, augmentation, optimizer and logging cost.

Prints images/s of the bare forward and backward pass on one resident batch, of the whole loop on the same network,
and their ratio (limit: 0.90 or more; what is missing is mostly the optimizer). Measured in turn, so that the ratio
holds on a noisy machine.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time

import _root  # noqa: F401  (first: it mends the import path)
import torch

from reid.data.records import ImageSet
from reid.engine.batches import training_batches
from reid.engine.device import pick_device
from reid.engine.identity_task import IdentityTask
from reid.engine.memory import keep_freed_memory
from reid.engine.recipe import Recipe
from reid.engine.training_step import TrainingStep
from supernet.arch import mobilenet_v2
from supernet.network import build_network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--height", type=int, default=128, help="of the images; the width is half (default: 128)")
    parser.add_argument("--rounds", type=int, default=8, help="steps of each kind (default: 8)")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    keep_freed_memory()
    device, size = pick_device(options.device), (options.height, options.height // 2)
    recipe = Recipe()

    generator = torch.Generator().manual_seed(0)
    pids = torch.arange(64).repeat_interleave(16)
    pixels = torch.randint(0, 256, (len(pids), *size, 3), dtype=torch.uint8, generator=generator)
    data = ImageSet(pixels, pids, torch.zeros_like(pids))
    batches = training_batches(data, recipe, size, 0, device)
    task = IdentityTask(build_network(mobilenet_v2(size)), batches.classes, recipe.losses)
    task.to(device, memory_format=torch.channels_last).train()
    step = TrainingStep(task, recipe, device, batches.per_epoch)
    resident = next(batches.epoch(1))[0]

    def bare() -> None:
        task.network.outputs(resident).embedding.sum().backward()

    endless = (batch for number in itertools.count(1) for batch in batches.epoch(number))

    def loop(number: int) -> None:
        images, labels = next(endless)
        step(images, labels, number)

    bare_times, loop_times = [], []
    for number in range(options.rounds + 3):
        bare_seconds = _timed(bare, device)
        loop_seconds = _timed(lambda n=number: loop(n), device)
        if number >= 3:  # the first steps choose kernels and grow the heap
            bare_times.append(bare_seconds)
            loop_times.append(loop_seconds)
    images = len(resident)
    ratio = statistics.median(a / b for a, b in zip(bare_times, loop_times, strict=True))
    print(f"MobileNetV2 {size[0]}x{size[1]}, batch {images}, {device}, {torch.get_num_threads()} CPU threads")
    print(f"bare forward+backward  {images / statistics.median(bare_times):8.1f} images/s")
    print(f"whole loop             {images / statistics.median(loop_times):8.1f} images/s")
    print(f"ratio                  {ratio:8.3f}  (limit 0.90)")


def _timed(run, device: torch.device) -> float:
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

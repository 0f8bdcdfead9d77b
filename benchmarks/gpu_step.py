"""Ways to run the training step of a stand-alone network on a CUDA GPU, against launching it kernel by kernel.

    python benchmarks/gpu_step.py --networks mobilenetv2 MLR-210M-C osnet_x0_42 resnet50
    python benchmarks/gpu_step.py --batches 64 128 256 --ways eager graph compiled

For each network, precision and batch the whole step (augmentation of resident images, forward, losses, backward,
clipping, optimizer) is timed in each way:

* ``eager`` launches every kernel;
* ``graph`` replays the recorded forward and backward pass (``recipe.cuda_graph``, the default);
* ``tuned`` is that with kernels that cuDNN chose by trying them, ``contiguous`` with maps channel by channel in memory,
  ``compiled`` with ``torch.compile``.

Printed are images/s, the ratio to the first way, milliseconds a step, how long the host needs to queue one, and the
memory that torch had reserved at its peak. ``--profile 12`` adds the dozen kernels of the first way that take longest.
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import sys
import time
from collections.abc import Iterator

import _root  # noqa: F401  (first: it mends the import path)
import torch

from benchmarks.parts.sizes import add_size
from benchmarks.parts.training.subjects import make_network, noise
from reid.engine.batches import training_batches
from reid.engine.recipe import OptimizerConfig, Recipe
from reid.engine.tasks.identity_task import IdentityTask
from reid.engine.training_step import TrainingStep
from reid.errors import UserError
from reid.losses.config import LossConfig
from reid.options import Parser

WAYS = {
    "eager": {"cuda_graph": False},
    "graph": {},
    "tuned": {},
    "contiguous": {"channels_last": False},
    "compiled": {"compile": True},
}
WARM_UP = 6
"""Steps before the count: kernels are chosen, compiled and recorded in the first four."""


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=["mobilenetv2"], help="archs or backbones, by name")
    add_size(parser, "256x128")
    parser.add_argument("--batches", type=int, nargs="+", default=[64], help="images, four of each person")
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"], choices=["fp32", "bf16"])
    parser.add_argument("--ways", nargs="+", default=["eager", "graph"], choices=WAYS)
    parser.add_argument("--steps", type=int, default=40, help="that are timed (default: 40)")
    parser.add_argument("--profile", type=int, default=0, metavar="N", help="kernels to list (default: none)")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise UserError("no CUDA GPU here; benchmarks/training.py measures on a CPU")
    size = options.size
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {size[0]}x{size[1]}")
    heads = f"{'images/s':>9}{'ratio':>7}{'ms':>8}{'host ms':>9}{'MiB':>7}"
    print(f"{'network':<16}{'batch':>6} {'precision':<10}{'way':<10}{heads}")
    for name, batch, precision in itertools.product(options.networks, options.batches, options.precisions):
        first = None
        for way in options.ways:
            profile = 0 if first else options.profile
            seconds, host, mib, ready = _measure(name, batch, size, precision, way, options.steps, profile)
            first = first or seconds
            torch.cuda.empty_cache()  # memory of the deleted network
            torch._dynamo.reset()
            print(
                f"{name:<16}{batch:>6} {precision:<10}{way:<10}{batch / seconds:>9.0f}{first / seconds:>7.2f}"
                f"{1e3 * seconds:>8.2f}{1e3 * host:>9.2f}{mib:>7.0f}  (ready after {ready:.1f} s)",
                flush=True,
            )


def _measure(
    name: str, batch: int, size: tuple[int, int], precision: str, way: str, steps: int, profile: int
) -> tuple[float, float, float, float]:
    """Seconds a step, seconds in which the host queues it, MiB at the peak, seconds until the first timed step."""
    device = torch.device("cuda")
    recipe = Recipe(
        identities=batch // 4,
        optimizer=OptimizerConfig(lr=1e-3),  # as in a warm-up, so that numbers keep a usual magnitude
        losses=LossConfig(triplet={"selection": "semi_hard"}),
        clip_gradient=5.0,
        precision=precision,
    )
    recipe = dataclasses.replace(recipe, **WAYS[way])
    begun = time.perf_counter()
    batches = training_batches(noise((128, 64), recipe), recipe, size, 0, device)
    task = IdentityTask(make_network(name, size), batches.classes, recipe.losses)
    task.to(device, memory_format=torch.channels_last).train()
    step = TrainingStep(task, recipe, device, batches.per_epoch)
    drawn = (each for number in itertools.count(1) for each in batches.epoch(number))
    with torch.backends.cudnn.flags(enabled=True, benchmark=way == "tuned"):
        for number in range(WARM_UP):
            step(*next(drawn), number)
        torch.cuda.synchronize()
        ready = time.perf_counter() - begun
        torch.cuda.reset_peak_memory_stats()
        hosts, start = [], time.perf_counter()
        for number in range(steps):
            before = time.perf_counter()
            step(*next(drawn), WARM_UP + number)
            hosts.append(time.perf_counter() - before)
            if number % 10 == 9:
                torch.cuda.synchronize()  # the queue is bounded: a host that waits for room in it would seem slow
        torch.cuda.synchronize()
        seconds = (time.perf_counter() - start) / steps
        if profile:
            _print_kernels(step, drawn, WARM_UP + steps, profile)
    mib = torch.cuda.max_memory_reserved() / 2**20
    return seconds, statistics.median(hosts), mib, ready


def _print_kernels(step: TrainingStep, drawn: Iterator, number: int, count: int) -> None:
    """The ``count`` kernels that take longest in three steps from ``number`` on, by their share of all."""
    both = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=both) as profiled:
        for _ in range(3):
            step(*next(drawn), number)
        torch.cuda.synchronize()
    kernels = [each for each in profiled.key_averages() if each.device_type == torch.autograd.DeviceType.CUDA]
    kernels.sort(key=lambda each: -each.self_device_time_total)
    whole = sum(each.self_device_time_total for each in kernels)
    print(f"  {whole / 3e3:.2f} ms of kernels a step, {sum(each.count for each in kernels) / 3:.0f} of them")
    for each in kernels[:count]:
        print(f"  {each.self_device_time_total / whole:6.1%} {each.count // 3:>5} {each.key[:110]}")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")

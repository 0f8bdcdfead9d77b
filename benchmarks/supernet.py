"""The cost of weight sharing in training: an arch run on the supernet's slices against the same arch cut out.

In one run, for archs drawn as training draws them, prints seconds of forward and backward on a resident batch

- by slices of the supernet's weights, as it is trained here;
- cut out into a plain network, the floor (ratio to it; limit 1.10);
- by masks on the largest arch, the way that keeps every shape the same: at least the largest arch's own time;
- with ``--compile``, by a graph compiled for each arch, with the seconds that compiling it takes: it wins only where a
  graph is used more often than these are worth.

Then the whole training step of the supernet: seconds, images/s counted once for each arch of the step, what share of it
the bare forward and backward passes of its archs are (limit 0.90), and peak memory.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable
from random import Random

import _root  # noqa: F401  (first: it mends the import path)
import torch

from benchmarks.parts.sizes import add_size
from reid.engine.machine.device import autocast, pick_device
from reid.engine.machine.memory import keep_freed_memory
from reid.engine.machine.process_memory import peak_memory_mib
from reid.engine.training_step import TrainingStep
from reid.options import Parser
from search.costs import CostTable
from search.sampling import evenly_over_flops
from supernet.arch import Arch
from supernet.files import load_space
from supernet.space import Space
from supernet.space.genome import largest
from supernet.supernet import Supernet
from supernet.training import SupernetRecipe, SupernetTask
from supernet.training.sampling import step_archs

WARMUP = 2
"""Rounds before the count begins: the first choose kernels and grow the heap."""


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--space", default="mlr-210m")
    add_size(parser, "128x64")
    parser.add_argument("--batch", type=int, default=64, help="images, four of each person (default: 64)")
    parser.add_argument("--archs", type=int, default=4, help="archs timed one by one (default: 4)")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of everything (default: 5)")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", action="store_true", help="also a compiled graph of each arch: minutes")
    options = parser.parse_args()
    keep_freed_memory()
    device, size = pick_device(options.device), options.size
    space = load_space(options.space).at(size)
    torch.manual_seed(0)
    supernet = Supernet(space).to(device, memory_format=torch.channels_last).train()
    images = torch.randn(options.batch, 3, *size, device=device).contiguous(memory_format=torch.channels_last)

    def timed(run: Callable[[torch.Tensor], torch.Tensor]) -> float:
        start = time.perf_counter()
        with autocast(device, options.precision):
            embedding = run(images)
        embedding.float().sum().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    threads = torch.get_num_threads()
    print(
        f"{options.space} {size[0]}x{size[1]}, batch {options.batch}, {options.precision}, {device}, "
        f"{threads} CPU threads"
    )
    ratios, masks = [], []
    full = largest(space)
    for number, arch in enumerate(_draw(space, options.archs), start=1):
        plain = supernet.extract(arch).to(memory_format=torch.channels_last).train()
        ways = {
            "slices": lambda x, arch=arch: supernet(x, arch),
            "cut out": lambda x, plain=plain: plain.outputs(x).embedding,
            "masks": lambda x: supernet(x, full),
        }
        if options.compile:
            compiled = torch.compile(plain.outputs)
            start = time.perf_counter()
            timed(lambda x, compiled=compiled: compiled(x).embedding)
            print(f"arch {number}: compiled in {time.perf_counter() - start:.1f} s")
            ways["compiled"] = lambda x, compiled=compiled: compiled(x).embedding
        seconds = _medians(ways, timed, options.rounds)
        ratios.append(seconds["slices"] / seconds["cut out"])
        masks.append(seconds["masks"] / seconds["slices"])
        print(f"arch {number}: " + ", ".join(f"{way} {value:.3f} s" for way, value in seconds.items()), flush=True)
    print(f"slices over cut out    {statistics.median(ratios):8.3f}  (limit 1.10)")
    print(f"masks over slices      {statistics.mean(masks):8.3f}  at least")
    _whole_step(supernet, timed, images, device, options.rounds, options.precision)


def _draw(space: Space, count: int) -> list[Arch]:
    draw = evenly_over_flops(space, CostTable())
    random = Random(0)
    return [next(iter(draw(random, (number + 0.5) / count))) for number in range(count)]


def _medians(ways: dict[str, Callable], timed: Callable[[Callable], float], rounds: int) -> dict[str, float]:
    """The median seconds of each way; the ways take turns, so that a busy moment of the machine hits all."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(WARMUP + rounds):
        for way, run in ways.items():
            seconds[way].append(timed(run))
    return {way: statistics.median(values[WARMUP:]) for way, values in seconds.items()}


def _whole_step(
    supernet: Supernet,
    timed: Callable[[Callable], float],
    images: torch.Tensor,
    device: torch.device,
    rounds: int,
    precision: str,
) -> None:
    """Alternates the training step with forward and backward passes of the very archs that it trains."""
    config = SupernetRecipe()
    config = dataclasses.replace(config, recipe=dataclasses.replace(config.recipe, precision=precision))
    labels = torch.arange(len(images), device=device) // 4
    draw = evenly_over_flops(supernet.space, CostTable())
    task = SupernetTask(supernet, int(labels.max()) + 1, config, seed=0, draw=draw)
    task.to(device, memory_format=torch.channels_last).train()
    step = TrainingStep(task, config.recipe, device, per_epoch=1000)
    steps, passes = [], []
    for number in range(WARMUP + rounds):
        archs = [place[0] for place in step_archs(supernet.space, config.sampling, draw, 0, number, number / 1000)]
        start = time.perf_counter()
        step(images, labels, number)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        steps.append(time.perf_counter() - start)
        passes.append(sum(timed(lambda x, arch=arch: supernet(x, arch)) for arch in archs))
    share = statistics.median(bare / whole for bare, whole in zip(passes[WARMUP:], steps[WARMUP:], strict=True))
    each = statistics.median(steps[WARMUP:])
    print(
        f"training step          {each:8.3f} s for {len(archs)} archs, {len(archs) * len(images) / each:.1f} images/s"
    )
    print(f"their passes over it   {share:8.3f}  (at least 0.90)")
    print(f"peak memory            {peak_memory_mib(device):8.0f} MiB")


if __name__ == "__main__":
    main()

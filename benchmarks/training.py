"""Speed and memory of the training of stand-alone networks, against the bare step, the device and torchreid's loop.

    python benchmarks/training.py --networks mobilenetv2 resnet18 MLR-210M-A
    python benchmarks/training.py --torchreid FOLDER

For each network, all in one run:

* images/s of the bare forward and backward pass on one resident batch, of the whole loop (sampling, augmentation,
  losses, optimizer, the look at the loss every 20 steps), and their ratio (limit: 0.97 on a CPU, 0.95 on a GPU); the
  two take turns, so that the ratio holds on a busy machine; on a GPU both are recorded and replayed, as launching a
  light network's kernels one by one takes longer than running them;
* the time of the whole step by phase, with an average of the weights (EMA), which the loop is timed without; on a GPU
  each phase is waited for, so that these add up to more than a step takes;
* the maps that the backward pass needs, and on a GPU the peak of what torch had allocated;
* what share the bare pass has of the device's own speed, measured in the same run: of a large matrix product, and of
  the network's largest 1x1 convolution. Counted are convolutions and linear layers, a multiply-add as two
  operations, and the backward pass as two forward ones.

FOLDER is a checkout of KaiyangZhou/deep-person-reid; without it an installed torchreid is taken (``pip install
git+https://github.com/KaiyangZhou/deep-person-reid``), and without either the peer is left out. What the two sides
share, and what not, stands in ``parts/training/peer.py`` (limit: 1.3 times its images/s, or more).
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)
import torch
from torch import nn

from benchmarks.parts.sizes import add_size
from benchmarks.parts.training.peer import compare, find_torchreid
from benchmarks.parts.training.phases import phases
from benchmarks.parts.training.roofline import print_roofline, timed
from benchmarks.parts.training.subjects import make_network, noise
from reid.engine.batches import TrainingBatches, training_batches
from reid.engine.epoch import READ_EVERY
from reid.engine.machine.compilation import Compiled, plain
from reid.engine.machine.device import autocast, pick_device
from reid.engine.machine.memory import keep_freed_memory
from reid.engine.machine.process_memory import peak_memory_mib
from reid.engine.recipe import OptimizerConfig, Recipe
from reid.engine.recipe.averaging import AveragingConfig
from reid.engine.tasks.identity_task import IdentityTask
from reid.engine.training_step import TrainingStep
from reid.errors import UserError
from reid.options import Parser

WARMUP = 5
"""Steps before the count begins: the first choose kernels and grow the heap, and on a GPU the fourth is recorded."""


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=["mobilenetv2"], help="archs or backbones, by name")
    add_size(parser, "128x64")
    parser.add_argument("--batch", type=int, default=64, help="images, four of each person (default: 64)")
    parser.add_argument("--rounds", type=int, default=8, help="timed steps of each kind (default: 8)")
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], default="fp32")
    parser.add_argument("--compile", action="store_true", help="with torch.compile: minutes more for each network")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--torchreid", type=Path, metavar="FOLDER", help="checkout of deep-person-reid")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1], help="of the peer's loader; its best counts")
    options = parser.parse_args()
    keep_freed_memory()
    if options.batch < 8 or options.batch % 4:
        raise UserError(f"--batch {options.batch}: give a multiple of 4, at least 8")
    device, size = pick_device(options.device), options.size
    optimizer = OptimizerConfig(lr=1e-3)  # as in a warm-up: numbers stay of a usual size
    recipe = Recipe(
        identities=options.batch // 4, optimizer=optimizer, precision=options.precision, compile=options.compile
    )
    peer = find_torchreid(options.torchreid)
    for name in options.networks:
        print(f"{name} {size[0]}x{size[1]}, batch {options.batch}, {options.precision}, {_words(device)}")
        _measure(name, size, recipe, device, options.rounds)
        if peer is not None:
            compare(peer, lambda name=name: make_network(name, size), size, recipe, device, options.workers)
    print(f"peak memory of the run   {peak_memory_mib(device):8.0f} MiB")
    if peer is None:
        print("torchreid is not installed, nor given by --torchreid: no peer")


def _measure(name: str, size: tuple[int, int], recipe: Recipe, device: torch.device, rounds: int) -> None:
    batches = training_batches(noise(size, recipe), recipe, size, 0, device)
    task = IdentityTask(make_network(name, size), batches.classes, recipe.losses)
    task.to(device, memory_format=torch.channels_last).train()
    step = TrainingStep(task, recipe, device, batches.per_epoch)
    endless = _endless(batches)
    resident, labels = next(endless)
    run = Compiled() if recipe.compile else plain

    def bare() -> None:
        with autocast(device, recipe.precision):
            embedding = task.network.head(run(task.network.backbone, resident)).embedding
        embedding.float().sum().backward()

    def loop(number: int) -> None:
        log, _ = step(*next(endless), number)
        if number % READ_EVERY == 0:
            float(log["loss"])

    if device.type == "cuda":
        bare = _recorded(bare, task)
    if recipe.compile:
        seconds = timed(bare, device) + timed(lambda: step(resident, labels, 0), device)
        print(f"  compiling, two times   {seconds:8.1f} s")
    bare_times, loop_times = [], []
    block = READ_EVERY if device.type == "cuda" else 1  # a GPU's queue is not waited for more often than by the loop
    for number in range(WARMUP + rounds):
        bare_times.append(timed(lambda: [bare() for _ in range(block)], device) / block)
        loop_times.append(timed(lambda n=number: [loop(n * block + i) for i in range(block)], device) / block)
    bare_times, loop_times = bare_times[WARMUP:], loop_times[WARMUP:]
    batch, seconds = len(resident), statistics.median(bare_times)
    ratio = statistics.median(a / b for a, b in zip(bare_times, loop_times, strict=True))
    limit = 0.97 if device.type == "cpu" else 0.95
    print(f"  bare forward+backward  {batch / seconds:8.1f} images/s")
    print(f"  whole loop             {batch / statistics.median(loop_times):8.1f} images/s")
    print(f"  ratio                  {ratio:8.3f}  (limit {limit})")
    launched = dataclasses.replace(recipe, averaging=AveragingConfig("ema"), cuda_graph=False)
    averaged = TrainingStep(task, launched, device, batches.per_epoch)
    parts = phases(averaged, endless, rounds, device)
    whole = sum(parts.values())
    print("  step: " + ", ".join(f"{part} {took / whole:.1%}" for part, took in parts.items()) + f" of {whole:.3f} s")
    kept = _kept_mib(lambda: task.network.outputs(resident), task, device, recipe)
    print(f"  maps kept for backward {kept:8.1f} MiB, {1024 * kept / batch:.0f} KiB an image")
    print_roofline(task.network, resident, seconds, recipe.precision)


def _recorded(run: Callable[[], None], task: nn.Module) -> Callable[[], None]:
    """``run``, which leaves gradients in ``task``, as a CUDA graph; run a few times before."""
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARMUP):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    task.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph, stream=stream):
        run()
    return graph.replay


def _endless(batches: TrainingBatches):
    return (batch for number in itertools.count(1) for batch in batches.epoch(number))


def _kept_mib(run: Callable[[], object], task: nn.Module, device: torch.device, recipe: Recipe) -> float:
    """MiB that autograd keeps between forward and backward, parameters and buffers aside; not of a compiled network."""
    own = {tensor.untyped_storage().data_ptr() for tensor in [*task.parameters(), *task.buffers()]}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.detach()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), autocast(device, recipe.precision):
        run()
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own) / 2**20


def _words(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")

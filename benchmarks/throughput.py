"""Images/s of networks in training and inference, and the effect of each device setting.

    python benchmarks/throughput.py --networks mobilenetv2 resnet18 MLR-210M-A --sizes 128x64 256x128
    python benchmarks/throughput.py --threads 1 2 --compile

For each network and size the product's own way (channels-last, torch's default threads) is timed in turn with each
other way, so that the ratios hold on a busy machine: the default memory format, other numbers of threads, without
oneDNN, denormal numbers flushed to zero, bf16, and ``torch.compile`` where it is asked for (minutes each). A ratio
above 1 says that the other way is that much faster. Training is the bare forward and backward pass.
"""

from __future__ import annotations

import contextlib
import functools
import statistics
import sys
import warnings
from collections.abc import Callable, Iterator

import _root  # noqa: F401  (first: it mends the import path)
import torch
from torch import nn

from benchmarks.parts.training.roofline import timed
from benchmarks.parts.training.subjects import make_network
from reid.engine.machine.device import autocast, pick_device
from reid.engine.machine.memory import keep_freed_memory
from reid.errors import UserError
from reid.options import Parser
from search.latency.runners import cpu_threads
from tools.size_option import parse_size

TRAINING, INFERENCE = "training", "inference"
WARMUP = 2
"""Runs before the count begins: the first choose kernels and grow the heap."""

Run = Callable[[], object]


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=["mobilenetv2", "resnet18", "MLR-210M-A"], metavar="NAME")
    parser.add_argument("--sizes", type=parse_size, nargs="+", default=[(128, 64), (256, 128)], metavar="HxW")
    parser.add_argument("--batch", type=int, default=16, help="images (default: 16)")
    parser.add_argument("--rounds", type=int, default=5, help="timed runs of each way (default: 5)")
    parser.add_argument("--threads", type=int, nargs="*", default=[], help="other numbers of threads to try")
    parser.add_argument("--compile", action="store_true", help="torch.compile too")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    keep_freed_memory()
    device = pick_device(options.device)
    where = f"{torch.get_num_threads()} CPU threads" if device.type == "cpu" else torch.cuda.get_device_name(device)
    print(f"batch {options.batch}, fp32, channels-last, {where}; ratios: the other way's images/s over it")
    for name in options.networks:
        for size in options.sizes:
            images = torch.randn(options.batch, 3, *size, device=device)
            for kind in (TRAINING, INFERENCE):
                ways = _ways(name, size, images, kind, device, options.threads, options.compile)
                _print(f"{name} {size[0]}x{size[1]} {kind}", ways, options.batch, options.rounds, device)


def _ways(
    name: str,
    size: tuple[int, int],
    images: torch.Tensor,
    kind: str,
    device: torch.device,
    threads: list[int],
    compiled: bool,
) -> dict[str, Run]:
    """The product's own way first."""
    network = make_network(name, size).to(device).to(memory_format=torch.channels_last)
    own = _run(network, images.contiguous(memory_format=torch.channels_last), kind)
    ways = {"own": own, "default format": _run(make_network(name, size).to(device), images, kind)}
    ways["bf16"] = _within(lambda: autocast(device, "bf16"), own)
    if device.type == "cpu":
        ways["no oneDNN"] = _within(_without_onednn, own)
        ways["flush denormals"] = _within(_flushed, own)
        for count in threads:
            ways[f"{count} threads"] = _within(functools.partial(cpu_threads, count), own)
    if compiled:
        graph = torch.compile(network)
        ways["compiled"] = _run(graph, images.contiguous(memory_format=torch.channels_last), kind)
    return ways


def _run(network: nn.Module, images: torch.Tensor, kind: str) -> Run:
    def train() -> None:
        network.train()
        network(images).float().sum().backward()

    @torch.inference_mode()
    def infer() -> None:
        network.eval()
        network(images)

    return train if kind == TRAINING else infer


def _within(context: Callable[[], contextlib.AbstractContextManager], run: Run) -> Run:
    def within() -> None:
        with context():
            run()

    return within


@contextlib.contextmanager
def _without_onednn() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "TF32")  # the context sets that too, and torch has none of it on a CPU
        with torch.backends.mkldnn.flags(enabled=False):
            yield


@contextlib.contextmanager
def _flushed() -> Iterator[None]:
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _print(title: str, ways: dict[str, Run], batch: int, rounds: int, device: torch.device) -> None:
    times: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(WARMUP + rounds):
        for way, run in ways.items():
            seconds = timed(run, device)
            if number >= WARMUP:
                times[way].append(seconds)
    own, *others = ways
    ratios = [
        f"{way} {statistics.median(a / b for a, b in zip(times[own], times[way], strict=True)):.2f}" for way in others
    ]
    print(f"{title:32} {batch / statistics.median(times[own]):8.1f} images/s   {', '.join(ratios)}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")

"""Time of a search per candidate: seconds by phase, candidates/s, and how close that is to the bare networks.

    python benchmarks/search.py                                                # mlr-210m at 128x64, 1,700 images
    python benchmarks/search.py --space tiny --size 80x40 --images 375           # the demo's
    python benchmarks/search.py --size 256x128 --device cuda                     # Market-1501's full experiment

evaluates random archs of an untrained supernet on noise, whole and phase by phase, and prints medians over the archs of

* seconds of each phase: cut out, calibrate, fold, features, scoring; and of a whole call;
* candidates/s, and peak memory (of the process; on CUDA of torch's tensors);
* the whole call over the bare forward pass of its images, calibration and held-out ones, through the same folded
  network. The limit is 1.1 and the calibration images' share of all: BN that is calibrated cannot be folded yet and has
  to find its statistics first, which takes about twice a folded pass. A tenth is for cutting, folding and scoring;
* an evaluation in float32 that does not fold and prepares its images each time, over the whole call (limit: 1.2);
* on CUDA, at 256x128, the seconds of a whole call with 1,700 held-out images (limit: 0.5), and of each arch's first
  call: cuDNN loads its kernels shape by shape, and a search meets a shape for the first time once.

The ways are run in turn on each arch. On one CPU thread it is CPU time, which a busy machine changes less.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import time
from collections.abc import Callable
from random import Random

import _root  # noqa: F401  (first: it mends the import path)
import torch

from benchmarks.parts.sizes import add_size
from evaluation.features.extraction import extract_features
from reid.data.records import ImageSet
from reid.engine.bn_calibration import calibrate
from reid.engine.machine.device import DTYPES, autocast, pick_device
from reid.engine.machine.memory import keep_freed_memory
from reid.engine.machine.process_memory import peak_memory_mib
from reid.options import Parser
from search.config import SearchConfig
from search.scoring.evaluator import SupernetEvaluator
from supernet.arch import Arch
from supernet.files import load_space
from supernet.folding import fold_batch_norm
from supernet.space import decode
from supernet.space.genome import sample
from supernet.supernet import Supernet

PHASES = ("cut out", "calibrate", "fold", "features", "scoring")
WHOLE, BARE, UNFOLDED, FIRST = "whole call", "bare forward", "unfolded", "first call"


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--space", default="mlr-210m")
    add_size(parser, "128x64")
    parser.add_argument("--images", type=int, default=1700, help="held-out images, a sixth of them queries")
    parser.add_argument("--calibration", type=int, default=256, help="calibration images, in batches of 64")
    parser.add_argument("--precision", default="auto", help="search.precision (default: auto)")
    parser.add_argument("--archs", type=int, default=3, help="archs that are timed, after one that is not (default: 3)")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    keep_freed_memory()
    device, size = pick_device(options.device), options.size
    evaluate = _evaluator(options, size, device)

    clock = _clock(device)
    times: dict[str, list[float]] = {}
    for seed in range(options.archs + 1):
        arch = decode(evaluate.supernet.space, sample(evaluate.supernet.space, Random(seed)))
        first = {FIRST: _ways(evaluate, arch, clock)[WHOLE]} if device.type == "cuda" else {}
        found = first | _phases(evaluate, arch, clock) | _ways(evaluate, arch, clock)
        for name, seconds in found.items() if seed else ():  # the first prepares the images and grows the heap
            times.setdefault(name, []).append(seconds)

    threads = f", {torch.get_num_threads()} CPU threads" if device.type == "cpu" else ""
    print(
        f"{options.space} {size[0]}x{size[1]}, {options.images} held-out and {options.calibration} calibration images, "
        f"{evaluate.precision}, {device}{threads}; medians of {options.archs} archs"
    )
    for name in (*PHASES, WHOLE):
        print(f"{name:<22} {statistics.median(times[name]):9.4f} s")
    whole = statistics.median(times[WHOLE])
    print(f"candidates/s           {1 / whole:9.4f}")
    kept = evaluate.images.kept_bytes / 2**20
    print(f"peak memory            {peak_memory_mib(device):9.0f} MiB ({kept:.0f} of held-out images)")
    limit = 1.1 + options.calibration / (options.calibration + options.images)
    print(f"over the bare forward  {_ratio(times[WHOLE], times[BARE]):9.3f}  (limit {limit:.2f})")
    print(f"unfolded over it       {_ratio(times[UNFOLDED], times[WHOLE]):9.3f}  (limit 1.2 or more)")
    if device.type == "cuda" and size == (256, 128) and options.images == 1700:
        print(f"seconds a candidate    {whole:9.3f}  (limit 0.5; {statistics.median(times[FIRST]):.1f} the first time)")


def _evaluator(options: argparse.Namespace, size: tuple[int, int], device: torch.device) -> SupernetEvaluator:
    """Of a fresh supernet, on noise: what is measured does not depend on what the images show."""
    generator = torch.Generator().manual_seed(0)

    def images(count: int, first: int) -> ImageSet:
        pixels = torch.randint(0, 256, (count, *size, 3), dtype=torch.uint8, generator=generator)
        return ImageSet(pixels, first + torch.arange(count) % 100, torch.arange(count) % 6)

    config = SearchConfig(calibration_batches=math.ceil(options.calibration / 64), precision=options.precision)
    torch.manual_seed(0)
    supernet = Supernet(load_space(options.space).at(size)).to(device)
    queries = options.images // 6
    sets = images(options.calibration, 0), images(queries, 100), images(options.images - queries, 100)
    return SupernetEvaluator(supernet, *sets, device, config)


def _clock(device: torch.device) -> Callable[[], float]:
    """A clock in seconds; on CUDA it waits for queued work to finish."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device) or time.perf_counter()
    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def _phases(evaluate: SupernetEvaluator, arch: Arch, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds of each of ``PHASES``, in turn: the steps of a call."""
    size, precision = arch.input_size, evaluate.precision
    calibration, marks = evaluate.calibration(size), [clock()]
    network = evaluate.supernet.extract(arch).to(memory_format=torch.channels_last)
    marks.append(clock())
    with autocast(evaluate.device, precision):
        calibrate(network, calibration)
    marks.append(clock())
    fold_batch_norm(network, DTYPES[precision])
    marks.append(clock())
    features = evaluate.features(network, size, precision)
    marks.append(clock())
    evaluate.score(features.nan_to_num())
    marks.append(clock())
    return dict(zip(PHASES, (b - a for a, b in itertools.pairwise(marks)), strict=True))


def _ways(evaluate: SupernetEvaluator, arch: Arch, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds of a whole call, of the bare forward pass, and of an evaluation that does not fold."""
    size, precision = arch.input_size, evaluate.precision
    network = evaluate.network(arch, precision)
    held = [batch.to(DTYPES[precision]) for batch in evaluate.images.batches(size)]
    calibration = [batch.to(DTYPES[precision]) for batch in evaluate.calibration(size)]
    labels = torch.zeros(len(evaluate.images.pixels), dtype=torch.int64)
    everyone = ImageSet(evaluate.images.pixels, labels, labels)

    @torch.inference_mode()
    def bare() -> None:
        with autocast(evaluate.device, precision):
            for batch in (*held, *calibration):
                network(batch)

    def unfolded() -> None:
        plain = calibrate(evaluate.supernet.extract(arch), evaluate.calibration(size))
        features = extract_features(plain, everyone, size, evaluate.device, evaluate.config.eval_batch_size)
        evaluate.score(features.to(evaluate.device))

    seconds = {}
    for name, run in ((WHOLE, lambda: evaluate(arch)), (BARE, bare), (UNFOLDED, unfolded)):
        start = clock()
        run()
        seconds[name] = clock() - start
    return seconds


def _ratio(above: list[float], below: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


if __name__ == "__main__":
    main()

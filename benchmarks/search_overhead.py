"""The overhead of a search besides its evaluations: NNI, proposals, FLOPs and the log, with empty evaluations.

For each strategy, prints ms of CPU time a candidate over 1,000 and over 10,000 candidates; what share of a search that
is where an evaluation takes as long as that of an arch of the tiny space, timed in the same run on as many images as
the demo's (limit: 5 %); and how much longer the last 1,000 of 10,000 candidates take than the first 1,000 (flat is 1,
limit: 2), by medians over generations, which an interruption by other programs moves little. What a search does once,
after its last candidate (the front, the archs' files), is told apart: it is in the share, but says nothing of how a
candidate's time grows. The parts of the space are counted before, which takes as long as it says.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random

import _root  # noqa: F401  (first: it mends the import path)
import torch

from reid.data.records import ImageSet
from reid.options import Parser
from search.asked import Asked
from search.config import SearchConfig
from search.costs import CostTable
from search.limits import Limits
from search.means import Means
from search.proposers import STRATEGIES
from search.run import run_search
from search.scoring.evaluator import SupernetEvaluator
from supernet.arch import Arch
from supernet.files import load_space
from supernet.space import Space, decode
from supernet.space.genome import sample
from supernet.supernet import Supernet


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--space", default="tiny")
    parser.add_argument("--flops", type=float, default=6e6, help="limit (default: 6e6)")
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10000], help="candidates (default: 1000 10000)")
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES), choices=list(STRATEGIES))
    parser.add_argument("--screen", type=int, default=1, help="children a slot; not for random (default: 1)")
    options = parser.parse_args()
    space, table = load_space(options.space), CostTable()
    start = time.process_time()
    for seed in range(3000):
        table.cost(decode(space, sample(space, Random(seed))))
    print(f"space {options.space}: {len(table)} parts counted in {time.process_time() - start:.1f} s")
    real = _real_evaluation()
    print(f"an evaluation of a tiny arch takes {1e3 * real:.0f} ms of CPU time")
    for strategy in options.strategies:
        for count in options.counts:
            screen = 1 if strategy == "random" else options.screen
            config = SearchConfig(trials=count, screen=screen)
            *marks, end = _marks(space, Limits(flops=int(options.flops)), config, strategy, table)
            each = (end - marks[0]) / len(marks)
            share = each / (each + real)
            line = f"{strategy:<10} {count:6} candidates {1e3 * each:7.2f} ms each, {100 * share:5.2f} % (limit 5)"
            line += f", {end - marks[-1]:.1f} s at the end"
            if len(marks) > 2000:
                size = config.generation
                generations = [later - mark for mark, later in zip(marks[::size], marks[size::size], strict=False)]
                part = 1000 // size
                flat = statistics.median(generations[-part:]) / statistics.median(generations[:part])
                line += f", last 1000 over first {flat:.2f} (limit 2)"
            print(line, flush=True)


def _marks(space: Space, limits: Limits, config: SearchConfig, strategy: str, table: CostTable) -> list[float]:
    """CPU seconds at each call of an evaluation that does nothing, and when the search has ended."""
    marks: list[float] = []

    def evaluate(arch: Arch) -> Mapping[str, float]:
        marks.append(time.process_time())
        wide = sum(stage.width * len(stage.blocks) for stage in arch.stages)
        return {"default": wide / (1000 + wide), "rank1": 0.0}

    with tempfile.TemporaryDirectory() as folder:
        asked = Asked(space, limits, config, strategy)
        run_search(asked, Means(evaluate, table), Path(folder) / "run", progress=False)
    return [*marks, time.process_time()]


def _real_evaluation() -> float:
    """CPU seconds of one evaluation on 48 queries and 240 gallery images of 80x40, the demo's size: the median of 5."""
    size = (80, 40)
    space = load_space("tiny").at(size)

    def images(count: int, first: int) -> ImageSet:
        pixels = torch.randint(0, 256, (count, *size, 3), dtype=torch.uint8)
        return ImageSet(pixels, first + torch.arange(count) % 24, torch.arange(count) % 6)

    evaluate = SupernetEvaluator(
        Supernet(space), images(300, 0), images(48, 100), images(240, 100), "cpu", SearchConfig()
    )
    times = []
    for seed in range(6):
        arch = decode(space, sample(space, Random(seed)))
        start = time.process_time()
        evaluate(arch)
        times.append(time.process_time() - start)
    return sorted(times[1:])[2]


if __name__ == "__main__":
    main()

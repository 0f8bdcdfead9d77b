"""The FLOPs table against fvcore on whole networks: same figures, and how much faster.

Prints archs/s of both on the same random archs (limit: 20,000 archs/s by the table once its parts are counted), the
number of archs on which they differ (must be 0), and the time to count the parts.
"""

from __future__ import annotations

import time
from random import Random

import _root  # noqa: F401  (first: it mends the import path)

from reid.options import Parser
from search.costs import CostTable, whole_network_flops
from supernet.files import load_space
from supernet.space import decode
from supernet.space.genome import sample


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--space", default="mlr-210m")
    parser.add_argument("--archs", type=int, default=5000, help="random archs for the table (default: 5000)")
    parser.add_argument("--whole", type=int, default=10, help="of them counted whole by fvcore too (default: 10)")
    options = parser.parse_args()
    space, random = load_space(options.space), Random(0)
    archs = [decode(space, sample(space, random)) for _ in range(options.archs)]
    table = CostTable()
    first = _seconds(lambda: [table.flops(arch) for arch in archs])
    warm = _seconds(lambda: [table.flops(arch) for arch in archs])
    counted: list[int] = []
    whole = _seconds(lambda: counted.extend(whole_network_flops(arch) for arch in archs[: options.whole]))
    differing = sum(table.flops(arch) != flops for arch, flops in zip(archs, counted, strict=False))
    rate, whole_rate = len(archs) / warm, len(counted) / whole
    print(f"space {options.space}, {len(archs)} archs, {len(table)} parts counted in {first - warm:.1f} s")
    print(f"table   {rate:10.0f} archs/s  (limit 20000)")
    print(f"fvcore  {whole_rate:10.1f} archs/s  ratio {rate / whole_rate:.0f}")
    print(f"archs on which they differ: {differing} of {len(counted)}")


def _seconds(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

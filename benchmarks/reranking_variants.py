"""How implementations of k-reciprocal re-ranking differ, as scores on synthetic features.

    python benchmarks/reranking_variants.py

Each variant is the authors' definition with one thing done otherwise, as plain loops over dense float64 matrices;
docs/reranking.md says who does it. Fetches nothing and takes a minute or two.
"""

from __future__ import annotations

from dataclasses import replace

import _root  # noqa: F401  (first: it mends the import path)
import numpy as np

from benchmarks.parts.reranking.features import synthetic_retrieval
from benchmarks.parts.reranking.loops import Variant, plain_reranking
from evaluation.reranking import ReRanking
from reid.options import Parser

VARIANTS = {
    "distances not squared": Variant(power=0.5),
    "distances squared twice": Variant(power=2),
    "Python 2's 2 / 3 = 0 in the expansion": Variant(share=0),
    "half set by numpy's rounding": Variant(numpy_half=True),
    "float16 distances and encodings": Variant(dtype=np.float16),
    "float16, equal distances the other way round": Variant(dtype=np.float16, latest=True),
    "lists of k1, the image itself counted": Variant(neighbours=0),
    "no row maximum": Variant(normalised=False),
    "lists of k1, no row maximum, 1 - cos blended": Variant(neighbours=0, normalised=False, blended=0.5),
    "greatest of all for the row maximum": Variant(global_maximum=True),
    "equal distances the other way round": Variant(latest=True),
}


def main(arguments: list[str] | None = None) -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--queries", type=int, default=400, help="(default: 400)")
    parser.add_argument("--gallery", type=int, default=1900, help="(default: 1900)")
    parser.add_argument("--k1", type=int, default=20, help="(default: 20)")
    parser.add_argument("--seeds", type=int, default=3, help="synthetic sets, of which means are taken (default: 3)")
    options = parser.parse_args(arguments)
    config = replace(ReRanking(), k1=options.k1)

    originals, maps = [], {name: [] for name in ("authors", *VARIANTS)}
    largest = dict.fromkeys(maps, 0.0)
    for seed in range(options.seeds):
        retrieval = synthetic_retrieval(options.queries, options.gallery, seed=seed)
        squares = retrieval.squares()
        originals.append(retrieval.score(squares[: options.queries, options.queries :]).mAP)
        authors = plain_reranking(squares, options.queries, config)
        for name in maps:
            result = plain_reranking(squares, options.queries, config, VARIANTS.get(name))
            maps[name].append(retrieval.score(result).mAP)
            largest[name] = max(largest[name], float(np.abs(result - authors).max()))
    base = np.mean(maps["authors"])
    print(f"{options.queries} x {options.gallery}, {config}, {options.seeds} sets; mAP before {np.mean(originals):.2%}")
    print("| variant | mAP % | difference | largest difference of a distance |\n| --- | ---: | ---: | ---: |")
    for name, values in maps.items():
        gain = 100 * (np.mean(values) - base)
        print(f"| {name} | {100 * np.mean(values):.2f} | {gain:+.2f} | {largest[name]:.3f} |")


if __name__ == "__main__":
    main()

"""How hard the synthetic pedestrians are: pixels, linear probes on pixels, and networks trained from scratch.

    python benchmarks/synthetic_hardness.py --out runs/hardness

makes the default set below ``--out`` and prints Rank-1 and mAP for each way to compare two pictures. The set
serves its purpose if the linear probes stay low, ResNet-18 is far above them, and smaller networks are below it.
"""

from __future__ import annotations

from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from benchmarks.parts.hardness.data import load, score
from benchmarks.parts.hardness.networks import BUILDERS, embed, train_network
from benchmarks.parts.hardness.probes import linear_rows
from benchmarks.parts.sizes import add_size
from reid.data.synthetic import SyntheticConfig, make_synthetic
from reid.options import Parser


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the set and the table")
    parser.add_argument("--networks", default="small-8,small-24,resnet18", help="comma list; empty for none")
    parser.add_argument("--epochs", type=int, default=12)
    add_size(parser, "96x48")
    parser.add_argument("--seed", type=int, default=0, help="of the training; the set is the default one")
    options = parser.parse_args()
    root = make_synthetic(options.out / "synthetic", SyntheticConfig())
    train, query, gallery = (load(root / f) for f in ("bounding_box_train", "query", "bounding_box_test"))
    print(f"train {len(train.pids)}, query {len(query.pids)}, gallery {len(gallery.pids)} images")
    rows = [(name, rank1, map_, "") for name, rank1, map_ in linear_rows((train, query, gallery))]
    size = options.size
    for name in filter(None, options.networks.split(",")):
        print(name, flush=True)
        net, seconds = train_network(BUILDERS[name], train, size, options.epochs, options.seed)
        rank1, map_ = score(query, gallery, embed(net, query, size), embed(net, gallery, size))
        rows.append((f"{name} {size[0]}x{size[1]}, {options.epochs} epochs", rank1, map_, f"{seconds:.0f} s"))
    lines = [f"{'':44} Rank-1    mAP", *(f"{n:44} {r:5.1f} % {m:5.1f} %  {t}" for n, r, m, t in rows)]
    (options.out / "hardness.txt").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

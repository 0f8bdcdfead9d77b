"""k-reciprocal re-ranking beside torchreid's: time, peak memory, equality and scores.

    python benchmarks/reranking.py --torchreid FOLDER   # a checkout of KaiyangZhou/deep-person-reid
    python benchmarks/reranking.py --msmt17             # ours alone, at MSMT17's size: minutes

At Market-1501's size (3,368 x 15,913, 256-d) it prints

* seconds and their ratio (limit: 4 or more), ours from features to the ``(Q, G)`` matrix, torchreid's of its function
  alone, without making the distance matrices that it is given (plain Euclidean ones; it squares them); CPU time too,
  which other processes on the machine change less;
* the peak memory of either, each in a process of its own (limit for ours: 3 GiB);
* the largest difference to torchreid's result, which ranks float32 distances, and to plain float64 loops at a smaller
  size (limit: 1e-5);
* mAP before and after.

Features are synthetic. Without FOLDER an installed torchreid is taken, and without either the peer is left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)
import numpy as np
import torch

from benchmarks.parts.reranking.features import synthetic_retrieval
from benchmarks.parts.reranking.loops import plain_reranking
from benchmarks.parts.torchreid_files import load_file, torchreid_file
from evaluation.reranking import ReRanking, rerank_blocks, rerank_distances
from evaluation.retrieval.distances import pairwise_distances
from reid.engine.machine.process_memory import peak_resident_mib
from reid.errors import UserError
from reid.options import Parser

FILE = "utils/rerank.py"
MARKET1501, MSMT17, QUICK = (3368, 15913), (11659, 82161), (60, 240)
LOOPS = (200, 1000)
EQUAL = 1e-5


@dataclass(frozen=True)
class Measurement:
    """Seconds of the re-ranking, by the clock and of CPU; GiB of the process at most, and before the re-ranking."""

    seconds: float
    cpu: float
    peak: float
    before: float


def measure(side: str, size: tuple[int, int], peer: Path | None, result: Path) -> Measurement:
    """Runs one side in this process; its distances go to the file ``result`` where the matrix is held at all."""
    retrieval = synthetic_retrieval(*size)
    query, gallery = retrieval.query, retrieval.gallery
    before = peak_resident_mib() / 1024
    if side == "torchreid":
        re_ranking = load_file(peer, "torchreid_rerank").re_ranking
        pairs = (query, gallery), (query, query), (gallery, gallery)
        matrices = [pairwise_distances(*pair, "euclidean").numpy() for pair in pairs]
        start = time.perf_counter(), time.process_time()
        distances = re_ranking(*matrices)
    elif side == "ours":
        start = time.perf_counter(), time.process_time()
        distances = rerank_distances(query, gallery, metric="euclidean").numpy()
    else:
        start = time.perf_counter(), time.process_time()
        distances = np.array([float(block.sum()) for block in rerank_blocks(query, gallery, metric="euclidean")])
    seconds, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    peak = peak_resident_mib() / 1024
    np.save(result, distances)
    return Measurement(seconds, cpu, peak, before)


def measure_apart(side: str, size: tuple[int, int], peer: Path | None, folder: Path) -> tuple[Measurement, np.ndarray]:
    """``measure`` in a process of its own."""
    result = folder / f"{side}.npy"
    arguments = [side, "--queries", str(size[0]), "--gallery", str(size[1]), "--result", str(result)]
    if peer is not None:
        arguments += ["--torchreid", str(peer)]
    command = [sys.executable, __file__, "--measure", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Measurement(**json.loads(done.stdout.splitlines()[-1])), np.load(result)


def find_peer(folder: Path | None) -> Path | None:
    """The file of torchreid's re-ranking; without ``folder``, that of an installed torchreid or None."""
    file = torchreid_file(folder, FILE)
    if file is None and folder is not None:
        raise UserError(
            f"--torchreid {folder}: no torchreid/{FILE} in it; give a checkout of KaiyangZhou/deep-person-reid"
        )
    return file


def compare(size: tuple[int, int], peer: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ours, distances = measure_apart("ours", size, None, Path(folder))
        show("ours", ours, f"  (limit 3.00 GiB: {ours.peak / 3:.2f} of it)")
        if peer is None:
            print("torchreid is not installed and no --torchreid FOLDER was given: no peer")
        else:
            theirs, other = measure_apart("torchreid", size, peer, Path(folder))
            show("torchreid", theirs)
            ratio, memory = theirs.seconds / ours.seconds, theirs.peak / ours.peak
            cpu = theirs.cpu / ours.cpu
            print(f"ratio       {ratio:9.1f}    CPU {cpu:6.1f}    memory {memory:4.1f}  (limit 4.0, by the clock)")
            apart = np.abs(distances - other)
            print(f"difference to torchreid: {apart.max():.1e}, over {EQUAL:g} at {np.mean(apart > EQUAL):.1e} of all")
    retrieval = synthetic_retrieval(*size)
    before = retrieval.score(pairwise_distances(retrieval.query, retrieval.gallery, "euclidean"))
    after = retrieval.score(distances)
    print(f"mAP   {before.mAP:.2%} before, {after.mAP:.2%} after; Rank-1 {before.rank1:.2%}, {after.rank1:.2%}")


def compare_with_loops(size: tuple[int, int]) -> None:
    retrieval = synthetic_retrieval(*size)
    expected = plain_reranking(retrieval.squares(), size[0], ReRanking())
    actual = rerank_distances(retrieval.query, retrieval.gallery, metric="euclidean").numpy()
    apart = np.abs(actual - expected).max()
    print(f"difference to float64 loops at {size[0]} x {size[1]}: {apart:.1e}  (limit {EQUAL:g})")


def show(name: str, side: Measurement, note: str = "") -> None:
    print(f"{name:12s}{side.seconds:9.1f} s  CPU {side.cpu:6.1f} s", end="")
    print(f"  peak {side.peak:6.2f} GiB, {side.before:.2f} before{note}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--torchreid", type=Path, metavar="FOLDER", help="checkout of deep-person-reid")
    parser.add_argument("--queries", type=int, default=MARKET1501[0], help="(default: Market-1501's 3368)")
    parser.add_argument("--gallery", type=int, default=MARKET1501[1], help="(default: Market-1501's 15913)")
    parser.add_argument("--msmt17", action="store_true", help="only ours, by blocks, at MSMT17's size")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything runs")
    parser.add_argument("--measure", choices=("ours", "blocks", "torchreid"), help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    size = MSMT17 if options.msmt17 else QUICK if options.quick else (options.queries, options.gallery)
    if options.measure:
        print(json.dumps(asdict(measure(options.measure, size, options.torchreid, options.result))))
        return
    peer = find_peer(options.torchreid)
    print(
        f"re-ranking {size[0]} x {size[1]}, 256 numbers, {torch.get_num_threads()} threads, {ReRanking()}", flush=True
    )
    if options.msmt17:
        with tempfile.TemporaryDirectory() as folder:
            show("ours", measure_apart("blocks", size, None, Path(folder))[0])
        return
    compare(size, peer)
    compare_with_loops(QUICK if options.quick else LOOPS)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")

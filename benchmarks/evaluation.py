"""The evaluation's speed, memory and exactness, beside torchreid's compiled evaluator in the same run.

    python benchmarks/evaluation.py --torchreid FOLDER

scores synthetic features of Market-1501's size (3,368 queries, 15,913 gallery images, 256 numbers each), untrained
ones and ones like a trained network's, and prints

* seconds from a distance matrix to CMC, mINP and both APs, least and median of the runs (limit: 0.4 s), and the ratio
  to torchreid's (limit: 3 or more); the CPU time too, which other processes on the machine change less;
* the largest difference of mAP and CMC to torchreid's, which sums in float32, and to a float64 loop (limit: 1e-9);
* seconds from features to the score, and peak memory at MSMT17's size (limit: 4 GiB), in a process of its own;
* then what benchmarks/reranking.py prints.

FOLDER is a checkout of KaiyangZhou/deep-person-reid whose evaluator was built (``python setup.py build_ext --inplace``
in torchreid/metrics/rank_cylib); without it, an installed torchreid is taken, and without either the peer is left out.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import _root  # noqa: F401  (first: it mends the import path)
import numpy as np
import torch

from benchmarks.parts.retrieval_sets import KINDS, MARKET1501, MSMT17, QUICK, Retrieval, Size, synthetic
from benchmarks.parts.torchreid_files import load_file, torchreid_file
from evaluation.retrieval.distances import METRICS, pairwise_distances
from evaluation.retrieval.metrics import score_distances, score_features
from evaluation.retrieval.scores import ReidScore
from reid.engine.machine.process_memory import peak_resident_mib
from reid.options import Parser

RANKS = (1, 5, 10, 20)


def loop(distances: np.ndarray, retrieval: Retrieval) -> tuple[float, float, list[float]]:
    """mAP by the step sum, mAP by the trapezoid, and CMC, by walking each ranking in float64."""
    steps, trapezoids, firsts = [], [], []
    for row, pid, camid in zip(distances, retrieval.query_pids, retrieval.query_camids, strict=False):
        found, place, earlier, step, trapezoid, first = 0, 0, 1.0, 0.0, 0.0, 0
        for image in np.argsort(row.astype(np.float64), kind="stable"):
            same = retrieval.gallery_pids[image] == pid
            if same and retrieval.gallery_camids[image] == camid:
                continue
            place, found = place + 1, found + same
            if same:
                step, trapezoid = step + found / place, trapezoid + (earlier + found / place) / 2
                first = first or place
            earlier = found / place
        if found:
            steps.append(step / found)
            trapezoids.append(trapezoid / found)
            firsts.append(first)
    cmc = [float(np.mean([first <= rank for first in firsts])) for rank in RANKS]
    return float(np.mean(steps)), float(np.mean(trapezoids)), cmc


def cmc_of(score: ReidScore) -> list[float]:
    return [score.rank1, score.rank5, score.rank10, score.rank20]


def timed(run: Callable[[], object], rounds: int) -> tuple[list[float], float]:
    """Seconds of each round, and the least CPU time of one."""
    walls, cpus = [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return walls, min(cpus)


def from_distances(kind: str, size: Size, peer: ModuleType | None, rounds: int, checked: int) -> None:
    retrieval = synthetic(size, KINDS[kind])
    distances = pairwise_distances(retrieval.query, retrieval.gallery).numpy()
    score = score_distances(distances, *retrieval.labels)
    print(f"{kind} features: {score}")
    ours, cpu = timed(lambda: score_distances(distances, *retrieval.labels), rounds)
    least, median = min(ours), statistics.median(ours)
    print(f"  from distances     least {least:6.3f} s  median {median:6.3f} s  CPU {cpu:6.3f} s  (limit 0.4 s)")
    if peer is not None:
        pids, camids, gallery_pids, gallery_camids = retrieval.labels
        arguments = (distances, pids, gallery_pids, camids, gallery_camids, RANKS[-1])
        answers = []
        theirs, their_cpu = timed(lambda: answers.append(peer.evaluate_cy(*arguments)), 1)
        cmc, mean_ap = answers[0]
        print(f"  torchreid, Cython        {theirs[0]:6.3f} s                  CPU {their_cpu:6.3f} s")
        print(f"  ratio              least {theirs[0] / least:6.1f}    median {theirs[0] / median:6.1f}  (limit 3.0)")
        apart = max(abs(cmc[rank - 1] - own) for rank, own in zip(RANKS, cmc_of(score), strict=True))
        print(f"  difference to it   mAP (step) {abs(mean_ap - score.mAP):.1e}  CMC {apart:.1e}")
    few = [retrieval.query_pids[:checked], retrieval.query_camids[:checked], *retrieval.labels[2:]]
    score = score_distances(distances[:checked], *few)
    step, trapezoid, cmc = loop(distances[:checked], retrieval)
    pairs = zip((step, trapezoid, *cmc), (score.mAP, score.mAP_trapezoid, *cmc_of(score)), strict=True)
    apart = max(abs(one - other) for one, other in pairs)
    print(f"  difference to a float64 loop over {checked} queries: {apart:.1e}  (limit 1e-9)")


def from_features(size: Size, rounds: int) -> None:
    retrieval = synthetic(size, KINDS["trained"])
    pids, camids, *labels = retrieval.labels
    for metric in METRICS:
        run = partial(score_features, retrieval.query, pids, camids, retrieval.gallery, *labels, metric=metric)
        walls, cpu = timed(run, rounds)
        least, median = min(walls), statistics.median(walls)
        print(f"from features, {metric:9s} least {least:6.3f} s  median {median:6.3f} s  CPU {cpu:6.3f} s")


def memory(size: Size) -> None:
    """Scores features of ``size`` and prints this process's peak memory."""
    retrieval = synthetic(size, KINDS["untrained"])
    pids, camids, *labels = retrieval.labels
    walls, _ = timed(lambda: score_features(retrieval.query, pids, camids, retrieval.gallery, *labels), 1)
    peak = peak_resident_mib()
    shape = f"{size.queries} x {size.gallery}"
    print(f"{size.name}'s size, {shape}: {walls[0]:.1f} s, peak memory {peak:.0f} MiB (limit 4096 MiB)")


def _peer(folder: Path | None) -> ModuleType | None:
    built = torchreid_file(folder, "metrics/rank_cylib/rank_cy*.so")
    return None if built is None else load_file(built, "rank_cy")


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--torchreid", type=Path, metavar="FOLDER", help="checkout of deep-person-reid")
    parser.add_argument("--rounds", type=int, default=7, help="runs of each measurement (default: 7)")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything runs")
    parser.add_argument("--memory-only", action="store_true", help="only MSMT17's size, in this process")
    parser.add_argument("--no-reranking", action="store_true", help="leave benchmarks/reranking.py out")
    options = parser.parse_args()
    if options.memory_only:
        memory(QUICK if options.quick else MSMT17)
        return
    size, peer = QUICK if options.quick else MARKET1501, _peer(options.torchreid)
    print(
        f"{size.name}'s size, {size.queries} x {size.gallery}, 256 numbers, {torch.get_num_threads()} threads", end=""
    )
    print("" if peer else "; torchreid's evaluator is not built or not installed: no peer")
    for kind in KINDS:
        from_distances(kind, size, peer, options.rounds, checked=10 if options.quick else 50)
    from_features(size, options.rounds)
    sys.stdout.flush()
    quick = ["--quick"] if options.quick else []
    subprocess.run([sys.executable, __file__, "--memory-only", *quick], check=True)
    reranking = Path(__file__).with_name("reranking.py")
    if reranking.is_file() and not options.no_reranking:
        peers = ["--torchreid", str(options.torchreid)] if options.torchreid else []
        subprocess.run([sys.executable, str(reranking), *quick, *peers], check=True)


if __name__ == "__main__":
    main()

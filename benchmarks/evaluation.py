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

import argparse
import importlib.util
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import _root  # noqa: F401  (first: it mends the import path)
import numpy as np
import torch

from evaluation.retrieval.distances import METRICS, pairwise_distances
from evaluation.retrieval.metrics import score_distances, score_features
from evaluation.retrieval.scores import ReidScore
from reid.engine.process_memory import peak_resident_mib

RANKS = (1, 5, 10, 20)


@dataclass(frozen=True)
class Size:
    """How large a retrieval is; ``strangers`` are gallery images of nobody (identity 0)."""

    name: str
    queries: int
    gallery: int
    strangers: int
    identities: int
    cameras: int


MARKET1501 = Size("Market-1501", 3368, 15913, 2798, 750, 6)
MSMT17 = Size("MSMT17", 11659, 82161, 0, 3060, 15)
QUICK = Size("a tenth of Market-1501", 337, 1591, 280, 75, 6)

KINDS = {"untrained": 0.0, "trained": 0.6}
"""How far identities lie apart, in standard deviations within one; 0.6 gives a mAP of 0.85 at Market-1501's size."""


@dataclass(frozen=True, eq=False)
class Retrieval:
    query: torch.Tensor
    gallery: torch.Tensor
    query_pids: np.ndarray
    query_camids: np.ndarray
    gallery_pids: np.ndarray
    gallery_camids: np.ndarray

    @property
    def labels(self) -> tuple[np.ndarray, ...]:
        return self.query_pids, self.query_camids, self.gallery_pids, self.gallery_camids


def synthetic(size: Size, spread: float, dim: int = 256) -> Retrieval:
    random = np.random.default_rng(0)
    query_pids = np.arange(size.queries) % size.identities + 1
    persons = np.arange(size.gallery - size.strangers) % size.identities + 1
    gallery_pids = random.permutation(np.concatenate([persons, np.zeros(size.strangers, dtype=np.int64)]))
    centers = spread * random.standard_normal((size.identities + 1, dim), dtype=np.float32)
    centers[0] = 0
    features, camids = [], []
    for pids in (query_pids, gallery_pids):
        features.append(torch.from_numpy(centers[pids] + random.standard_normal((len(pids), dim), dtype=np.float32)))
        camids.append(random.integers(1, size.cameras + 1, len(pids)))
    return Retrieval(*features, query_pids, camids[0], gallery_pids, camids[1])


def find_peer(folder: Path | None) -> ModuleType | None:
    """The built ``rank_cy`` module alone: importing torchreid would need all that it trains with."""
    if folder is None:
        installed = importlib.util.find_spec("torchreid")
        package = Path(installed.origin).parent if installed and installed.origin else None
    else:
        package = folder / "torchreid"
    built = sorted(package.glob("metrics/rank_cylib/rank_cy*.so")) if package else []
    if not built:
        return None
    spec = importlib.util.spec_from_file_location("rank_cy", built[0])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torchreid", type=Path, metavar="FOLDER", help="checkout of deep-person-reid")
    parser.add_argument("--rounds", type=int, default=7, help="runs of each measurement (default: 7)")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything runs")
    parser.add_argument("--memory-only", action="store_true", help="only MSMT17's size, in this process")
    parser.add_argument("--no-reranking", action="store_true", help="leave benchmarks/reranking.py out")
    options = parser.parse_args()
    if options.memory_only:
        memory(QUICK if options.quick else MSMT17)
        return
    size, peer = QUICK if options.quick else MARKET1501, find_peer(options.torchreid)
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

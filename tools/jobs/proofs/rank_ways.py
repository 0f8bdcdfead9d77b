"""Weights of ranked archs from supernets, trained further: how they rank, and how good they are."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from evaluation.comparison.row import read_result
from reid.words import counted
from search.gain.analysis import RANDOM
from search.gain.ways import Ways, WaysCompared, compare_ways
from search.ranking.analysis import TEST, RankedArch
from supernet.files import NamedArch
from supernet.trained.checkpoint import SUPERNET
from tools.jobs.data import SearchData
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.proofs.contenders import Contender
from tools.jobs.proofs.rank_words import Asked
from tools.jobs.proofs.stand_alone import score_alone
from tools.jobs.proofs.ways import Inheriting, plan_ways
from tools.jobs.runs.provenance import sha256


def contenders(archs: Sequence[tuple[NamedArch, Path]]) -> list[Contender]:
    """The archs in the form that ``tools.jobs.proofs.ways`` takes."""
    return [Contender(named.name, RANDOM, named.arch, file) for named, file in archs]


def plan_all(asked: Asked, archs: Sequence[tuple[NamedArch, Path]], job: Job) -> tuple[Inheriting, ...]:
    """The runs that train each supernet's weights further with the job's first seed; none if not requested.

    Those of the first supernet lie beside the stand-alone runs. Each further supernet has a subfolder named after the
    SHA-256 of its weights, so that its runs are found in any order of the supernets.
    """
    if asked.finetune_epochs is None:
        return ()
    first, folder = asked.supernets[0], asked.folder(job)
    places = {
        run: folder if run == first else folder / f"supernet-{sha256(run / SUPERNET)[:8]}" for run in asked.supernets
    }
    own, seeds = contenders(archs), (job.seed,)
    return tuple(plan_ways(own, run, asked.finetune_epochs, seeds, place, job) for run, place in places.items())


def mean_over(scores: Mapping[str, Mapping[str, float]], behind: str = "") -> dict[str, dict[str, float]]:
    """A ranker by the mean of several supernets' scores, or nothing for a single supernet; ``behind`` ends its label.
    Each supernet errs in its own way (docs/ranking-tries.md)."""
    if len(scores) < 2:
        return {}
    first, *_ = scores.values()
    mean = {name: statistics.fmean(own[name] for own in scores.values()) for name in first}
    return {f"mean of {len(scores)} supernets{behind}": mean}


def tuned_label(ways: Inheriting) -> str:
    """Label of the ranker by weights trained further: ``runs/supernet + 5 epochs``."""
    return f"{shown(ways.supernet)} + {counted(ways.epochs, 'epoch')}"


def tuned_scores(ways: Inheriting, archs: Sequence[NamedArch], images: SearchData, job: Job) -> dict[str, float]:
    """mAP of the weights trained further on the held-out identities, the mean over seeds, by the arch's name."""
    runs = {named.name: ways.runs(named.name) for named in archs}
    scored = score_alone([run for own in runs.values() for run in own], images, job)
    return {name: statistics.fmean(each.holdout for each in scored[own[0].name]) for name, own in runs.items()}


def compare(ways: Inheriting, archs: Sequence[RankedArch]) -> WaysCompared:
    """Compares the ways by the runs' final scores on the test set."""
    rows = [
        Ways(
            read_result(ways.scored[arch.name]).mAP,
            statistics.fmean(read_result(run.run).mAP for run in ways.runs(arch.name)),
            arch.truth(TEST),
        )
        for arch in archs
    ]
    return compare_ways(rows, shown(ways.supernet), ways.epochs)

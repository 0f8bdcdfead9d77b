"""What a supernet has for ranked archs, trained on: how these rank, and how good they are."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from evaluation.comparison.row import read_result
from search.gain.analysis import RANDOM
from search.gain.ways import Ways, WaysCompared, compare_ways
from search.ranking.analysis import TEST, RankedArch
from supernet.files import NamedArch
from tools.jobs.data import SearchData
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.proofs.contenders import Contender
from tools.jobs.proofs.stand_alone import score_alone
from tools.jobs.proofs.ways import Inheriting


def contenders(archs: Sequence[tuple[NamedArch, Path]]) -> list[Contender]:
    """The archs as ``tools.jobs.proofs.ways`` takes them."""
    return [Contender(named.name, RANDOM, named.arch, file) for named, file in archs]


def tuned_label(ways: Inheriting) -> str:
    """Of the ranker that the trained-on weights are: ``runs/supernet + 5 epochs``."""
    return f"{shown(ways.supernet)} + {ways.epochs} epochs"


def tuned_scores(ways: Inheriting, archs: Sequence[NamedArch], images: SearchData, job: Job) -> dict[str, float]:
    """mAP on the held-out identities of the trained-on weights, the mean over seeds, by the arch's name."""
    runs = {named.name: ways.runs(named.name) for named in archs}
    scored = score_alone([run for own in runs.values() for run in own], images, job)
    return {name: statistics.fmean(each.holdout for each in scored[own[0].name]) for name, own in runs.items()}


def compare(ways: Inheriting, archs: Sequence[RankedArch]) -> WaysCompared:
    """On the test set, by the scores that the runs ended with."""
    rows = [
        Ways(
            read_result(ways.scored[arch.name]).mAP,
            statistics.fmean(read_result(run.run).mAP for run in ways.runs(arch.name)),
            arch.truth(TEST),
        )
        for arch in archs
    ]
    return compare_ways(rows, shown(ways.supernet), ways.epochs)

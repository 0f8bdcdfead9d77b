"""The output of a ranking: tables on the terminal, ``ranking.json``, ``ranking.png`` and a page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.pictures.ranking import RankingPanel, RankingPoint, draw_ranking
from reid.files import write_json
from search.gain.ways import WaysCompared, ways_table
from search.ranking.analysis import GROUNDS, OTHER_RANKINGS, TEST, RankedArch, Verdict, analyse
from search.ranking.statistics import CONFIDENCE, RESAMPLES
from search.ranking.table import arch_table, verdict_table
from supernet.files import arch_to_dict
from tools.jobs.proofs.rank_report import write_rank_report
from tools.jobs.proofs.stand_alone import Training
from tools.jobs.runs.ownership import RANKING
from tools.jobs.runs.provenance import command, commit
from tools.jobs.runs.troubles import trouble_lines, troubles_of

PICTURE = "ranking.png"


def write_ranking(
    out: Path,
    ranked: Sequence[RankedArch],
    trainings: Sequence[Training],
    seed: int,
    about: Mapping[str, object],
    ways: Sequence[WaysCompared] = (),
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Prints tables and troubled trainings, and writes the files into ``out``; returns the path of ``ranking.json``.

    Args:
        ranked: archs with at least one finished training.
        trainings: all requested trainings, finished or not.
        seed: of the resampling.
        about: further entries for the file, on data and supernets.
        ways: comparisons of ways to the archs' weights, per supernet, if made.
        config: the resolved settings that the archs' trainings and the supernets' scores depend on.

    Raises:
        UserError: a training's ``doctor.json`` is damaged.
    """
    verdicts = {ground: analyse(ranked, ground, seed) for ground in GROUNDS}
    print(arch_table(ranked))
    for ground, verdict in verdicts.items():
        print(f"\n{verdict_table(verdict, ground, ranked)}")
    for each in ways:
        print(f"\n{ways_table(each)}")
    missing = [each.run.name for each in trainings if not each.finished]
    left_out = f"note: {len(missing)} of {len(trainings)} trainings are missing: {', '.join(missing)}"
    finished = {each.run.name: each.run for each in trainings if each.finished}
    troubles = troubles_of(finished)
    notes = ((left_out,) if missing else ()) + trouble_lines(troubles, len(finished))
    for note in notes:
        print(note)
    picture = draw_ranking(_panels(ranked, verdicts[TEST]), "stand-alone mAP on the test set (%)", out / PICTURE)
    seeds = {"seed": seed, "seeds": sorted({each.seed for each in trainings})}
    intervals = {"method": "percentile bootstrap over archs", "resamples": RESAMPLES, "confidence": CONFIDENCE}
    configured = {"config": dict(config)} if config else {}
    settings = {**about, **seeds, "intervals": intervals, **configured}
    write_rank_report(out, picture, ranked, verdicts, ways, notes, settings)
    data = {
        **about,
        **seeds,
        "missing": missing,
        "troubles": troubles,
        "archs": [_row(arch) for arch in ranked],
        "against": {ground: dataclasses.asdict(verdict) for ground, verdict in verdicts.items()},
        **({"ways": [dataclasses.asdict(each) for each in ways]} if ways else {}),
        "intervals": intervals,
        **configured,
        "command": command(),
        "commit": commit(),
    }
    return write_json(out / RANKING, data)


def _row(arch: RankedArch) -> dict[str, object]:
    row = {**vars(arch), "alone": [dataclasses.asdict(each) for each in arch.alone]}
    row["arch"] = None if arch.arch is None else arch_to_dict(arch.arch)
    return row | {f"mean_{ground}": arch.truth(ground) for ground in GROUNDS}


def _panels(ranked: Sequence[RankedArch], verdict: Verdict) -> list[RankingPanel]:
    panels = []
    for label in ranked[0].supernets:
        tau = verdict.rankers[label].tau
        words = "no order" if tau is None else f"tau {tau}"
        scores = {"scores": "expected mAP on held-out identities (%)"} if label == OTHER_RANKINGS else {}
        panels.append(RankingPanel(f"{label}: {words}", [_point(arch, label) for arch in ranked], **scores))
    return panels


def _point(arch: RankedArch, label: str) -> RankingPoint:
    seeds = arch.scores(TEST)
    return RankingPoint(arch.supernets[label], arch.truth(TEST), min(seeds), max(seeds), arch.flops)

"""Evaluations on several splits of one protocol, combined into one."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import TypeVar

from evaluation.protocols import Evaluation
from evaluation.retrieval.scores import ReidScore
from evaluation.retrieval.single_shot import SingleShotScore

Score = TypeVar("Score", ReidScore, SingleShotScore)


def mean_evaluation(splits: Sequence[Evaluation]) -> Evaluation:
    """The mean of the scores of at least one split, numbered from 0; queries are added up, and each note names its
    splits.

    ROC and threshold are left out: splits share persons, and their pairs are not independent.
    """
    if len(splits) == 1:
        return splits[0]
    first = splits[0]
    spread = statistics.stdev(each.score.mAP for each in splits)
    note = f"mean over {len(splits)} splits; standard deviation of mAP (step) between them {100 * spread:.1f} %"
    nothing = dict.fromkeys(("roc", "verification", "threshold", "threshold_rates"))
    return replace(
        first,
        **nothing,
        score=_mean([each.score for each in splits]),
        reranked=None if first.reranked is None else _mean([each.reranked for each in splits]),
        single_shot=None if first.single_shot is None else _mean([each.single_shot for each in splits]),
        notes=(note, *_notes(splits)),
    )


def _notes(splits: Sequence[Evaluation]) -> Iterator[str]:
    """Every note once, preceded by the numbers of its splits."""
    of: dict[str, list[int]] = {}
    for number, each in enumerate(splits):
        for note in each.notes:
            of.setdefault(note, []).append(number)
    for note, numbers in of.items():
        where = "every split" if len(numbers) == len(splits) else f"split {', '.join(map(str, numbers))}"
        yield f"{where}: {note}"


def _mean(scores: Sequence[Score]) -> Score:
    values = {}
    for field in fields(scores[0]):
        each = [getattr(score, field.name) for score in scores]
        values[field.name] = sum(each) if field.name in ("queries", "skipped_queries") else statistics.fmean(each)
    return type(scores[0])(**values)

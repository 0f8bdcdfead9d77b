"""Several seeds of one training as one row."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterator, Sequence

from evaluation.comparison.row import ResultRow
from reid.errors import UserError


def mean_row(rows: Sequence[ResultRow]) -> ResultRow:
    """The mean of ``rows``, which differ only in their seed, with their sample standard deviation (``n - 1``). If the
    trainings stopped after different numbers of epochs, it has the largest, and a note lists each; a note that not all
    rows have names its seeds.

    Raises:
        UserError: there are fewer than two rows, two of one seed, or they are of different networks or data.
    """
    if len(rows) < 2:
        raise UserError("a mean over seeds needs at least two runs; give more")
    first, seeds = rows[0], tuple(row.seed for row in rows)
    if len(set(seeds)) < len(seeds):
        raise UserError(
            f"runs of the seeds {', '.join(map(str, seeds))}: each seed may occur only once; leave the repeated run out"
        )
    for row in rows[1:]:
        for key in ("name", "flops", "parameters", "input_size", "train_set", "test_set"):
            if getattr(row, key) != getattr(first, key):
                raise UserError(f"{row.run} and {first.run} are not repeats of one training: {key} differs")
    mAPs, rank1s = [row.mAP for row in rows], [row.rank1 for row in rows]
    times = [row.latency_ms for row in rows if row.latency_ms is not None]
    return dataclasses.replace(
        first,
        mAP=statistics.fmean(mAPs),
        rank1=statistics.fmean(rank1s),
        mAP_spread=statistics.stdev(mAPs),
        rank1_spread=statistics.stdev(rank1s),
        latency_ms=statistics.median(times) if times else None,
        epochs=max(row.epochs for row in rows),
        notes=tuple(_notes(rows)),
        seeds=seeds,
    )


def _notes(rows: Sequence[ResultRow]) -> Iterator[str]:
    epochs = [row.epochs for row in rows]
    if len(set(epochs)) > 1:
        yield f"epochs of the seeds: {', '.join(map(str, epochs))}"
    for note in dict.fromkeys(note for row in rows for note in row.notes):
        of = [str(row.seed) for row in rows if note in row.notes]
        yield note if len(of) == len(rows) else f"seed {', '.join(of)}: {note}"

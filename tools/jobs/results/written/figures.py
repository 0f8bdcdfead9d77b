"""The results of finished steps, as values for tables and pictures."""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.comparison.row import REMAKE_SCORE, SCORE, ResultRow, read_result
from reid.errors import UserError
from reid.files import expecting, read_mapping, write_json
from reid.models.network import count_parameters
from search.costs import network_counts
from search.gain.analysis import BASELINE, FOUND, RANDOM
from tools.jobs.paths import shown
from tools.jobs.results.latency import cost_size, counted_network
from tools.jobs.results.made_of import NETWORK, is_of_network, network_digest, spec_of
from tools.jobs.results.plan.file import PlannedRow, planned_rows, slug, supernet_of
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.plan.steps import ROW, Step, plan_steps
from tools.jobs.results.states import AGAIN, is_done, latencies

COUNTS = "counts.json"


@dataclass(frozen=True)
class SeedRun:
    """One finished training; scores are fractions.

    Attributes:
        mAP, rank1: step AP, cosine, last weights.
        flip_mAP, flip_rank1: the same with features averaged with those of the mirror image.
        command, commit: the training's command and the commit of the code.
        run: the run folder.
        notes: what a reader should know about it.
    """

    seed: int
    mAP: float
    rank1: float
    flip_mAP: float
    flip_rank1: float
    command: str
    commit: str
    run: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figures:
    """A line of a table.

    Attributes:
        name: of the row.
        kind: ``searched``, ``random`` or ``baseline``; it decides the colour in pictures.
        recipe: its name; empty for the config's.
        epochs: epochs trained; the maximum over seeds if trainings stop early.
        inherited: the supernet whose weights it started from; empty for from scratch. ``epochs`` excludes its training.
        lever: whether it is one of the ladder's levers.
        flops, flops_mlr: fvcore's total and MLR's count at ``cost_size``; see ``search.costs.NetworkCounts``.
        parameters: of the inference network.
        cost_size: ``(height, width)``.
        latency_ms: on the plan's target at ``cost_size``; ``None`` if not measured.
        train_set, test_set: in words.
        seeds: the finished ones, in the plan's order.
    """

    name: str
    kind: str
    recipe: str
    epochs: int
    inherited: str
    lever: bool
    flops: int
    flops_mlr: int
    parameters: int
    cost_size: tuple[int, int]
    latency_ms: float | None
    train_set: str
    test_set: str
    seeds: tuple[SeedRun, ...]

    def values(self, metric: str) -> tuple[float, ...]:
        """A score for every seed: ``mAP``, ``rank1``, ``flip_mAP`` or ``flip_rank1``."""
        return tuple(getattr(seed, metric) for seed in self.seeds)

    def mean(self, metric: str) -> float:
        """The mean over seeds."""
        return statistics.fmean(self.values(metric))

    def spread(self, metric: str) -> float | None:
        """The sample standard deviation over seeds; ``None`` for one seed."""
        return statistics.stdev(self.values(metric)) if len(self.seeds) > 1 else None


def read_figures(setup: Setup, without: Collection[str] = ()) -> tuple[Figures, ...]:
    """The rows with at least one finished seed, in the plan's order.

    Args:
        without: names of steps to leave out.

    Raises:
        UserError: a result is damaged, or the seeds of a row were not trained and tested alike.
    """
    rows = [step for step in plan_steps(setup.plan) if step.kind == ROW and step.name not in without]
    steps = [step for step in rows if is_done(setup.places, step)]
    times = latencies(setup.places).get("networks", {})
    size = cost_size(setup)
    return tuple(
        _figures(setup, planned, own, times, size)
        for planned in planned_rows(setup.plan)
        if (own := [step for step in steps if step.part == planned])
    )


def _figures(
    setup: Setup, planned: PlannedRow, steps: Sequence[Step], times: Mapping[str, Any], size: tuple[int, int] | None
) -> Figures:
    runs = [setup.places.run(step) for step in steps]
    rows = [read_result(run) for run in runs]
    for row, run in zip(rows[1:], runs[1:], strict=True):
        for key in ("train_set", "test_set", "parameters"):
            if getattr(row, key) != getattr(rows[0], key):
                raise UserError(
                    f"{shown(run)} and {shown(runs[0])} cannot be one row: {key} differs; remove the one that is wrong"
                )
        if spec_of(run).backbone != spec_of(runs[0]).backbone:
            raise UserError(f"{shown(run)} and {shown(runs[0])} are of two networks; remove the one that is wrong")
    counts = _counts(setup.places.record(steps[0]) / COUNTS, runs[0], size)
    time, supernet = times.get(slug(planned.name)), supernet_of(setup.plan, planned.row)
    return Figures(
        name=planned.name,
        kind=_kind(planned, rows[0]),
        recipe=setup.training(planned).get("recipe", ""),
        epochs=max(row.epochs for row in rows),
        inherited="" if supernet is None else supernet.name,
        lever=planned.lever,
        flops=counts["flops"],
        flops_mlr=counts["flops_mlr"],
        parameters=counts["parameters"],
        cost_size=tuple(counts["size"]),
        latency_ms=time["ms"] if time and time["input_size"] == counts["size"] else None,
        train_set=rows[0].train_set,
        test_set=rows[0].test_set,
        seeds=tuple(_seed(setup, step, row) for step, row in zip(steps, rows, strict=True)),
    )


def _kind(planned: PlannedRow, result: ResultRow) -> str:
    """The kind that decides the colour in pictures; a network given by name may come from an earlier search."""
    if planned.row.found is not None:
        return FOUND
    if planned.row.network is not None and planned.row.change is None and result.kind == FOUND:
        return FOUND
    return RANDOM if planned.row.random is not None else BASELINE


def _seed(setup: Setup, step: Step, row: ResultRow) -> SeedRun:
    run = setup.places.run(step)
    path, flipped = run / SCORE, setup.places.flip(step) / SCORE
    score, flip = read_mapping(path, REMAKE_SCORE), read_mapping(flipped, AGAIN)
    with expecting(flipped, AGAIN):
        alone = flip["protocol"]["flip"] and flip["protocol"]["rerank"] is None
        mirrored = float(flip["mAP"]), float(flip["rank1"])
    if not alone:
        raise UserError(f"{shown(flipped.parent)} is not an evaluation with only the flip test; remove it")
    with expecting(path, REMAKE_SCORE):
        made = str(score["command"]), str(score["commit"])
    return SeedRun(step.seed, row.mAP, row.rank1, *mirrored, *made, shown(run), tuple(row.notes))


def _counts(path: Path, run: Path, size: tuple[int, int] | None) -> dict[str, Any]:
    """Counts of a run's network, from a file if this network was counted at this size before."""
    if path.is_file():
        kept = read_mapping(path, AGAIN)
        with expecting(path, AGAIN):
            if kept["asked"] == (None if size is None else list(size)) and is_of_network(kept, path, run):
                return {key: kept[key] for key in ("size", "flops", "flops_mlr", "parameters")}
    network, at = counted_network(run, size)
    counts = network_counts(network, at)
    data = {
        "asked": None if size is None else list(size),
        "size": list(at),
        "flops": counts.flops,
        "flops_mlr": counts.mlr,
        "parameters": count_parameters(network),
        NETWORK: network_digest(run),
    }
    with contextlib.suppress(OSError):  # a folder to publish from may be read-only; it is then counted again each time
        write_json(path, data)
    return data


def figures_to_dict(row: Figures) -> dict[str, Any]:
    """The row for JSON, with means and spreads beside the seeds."""
    data = dataclasses.asdict(row)
    for metric in ("mAP", "rank1", "flip_mAP", "flip_rank1"):
        data[metric], data[f"{metric}_spread"] = row.mean(metric), row.spread(metric)
    return data

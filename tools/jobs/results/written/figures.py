"""The results of finished steps, as values for tables and pictures."""

from __future__ import annotations

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
        flip_mAP, flip_rank1: likewise with features averaged with those of the mirror image.
        command, commit: that made the training, and the code's state.
        run: its folder.
        notes: what a reader must know of it.
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
        name: the row's.
        kind: ``searched``, ``random`` or ``baseline``; pictures colour by it.
        recipe: its name, empty for the config's.
        epochs: trained; the most of any seed, where they stop by themselves.
        inherited: the supernet whose weights it began with, empty for from scratch; its training is not in ``epochs``.
        lever: whether it is one of the ladder's.
        flops, flops_mlr: fvcore's total and MLR's count at ``cost_size``; see ``search.costs.NetworkCounts``.
        parameters: of the inference network.
        cost_size: ``(height, width)``.
        latency_ms: on the plan's target at that size; ``None`` where it was not measured.
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
        """A score of every seed: ``mAP``, ``rank1``, ``flip_mAP`` or ``flip_rank1``."""
        return tuple(getattr(seed, metric) for seed in self.seeds)

    def mean(self, metric: str) -> float:
        """The mean over seeds."""
        return statistics.fmean(self.values(metric))

    def spread(self, metric: str) -> float | None:
        """The standard deviation over seeds (of the sample); ``None`` of one seed."""
        return statistics.stdev(self.values(metric)) if len(self.seeds) > 1 else None


def read_figures(setup: Setup, without: Collection[str] = ()) -> tuple[Figures, ...]:
    """The rows that have at least one finished seed, in the plan's order.

    Args:
        without: names of steps that are left out.

    Raises:
        UserError: a result is damaged, or seeds of a row were not scored alike.
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
                raise UserError(f"{shown(run)} and {shown(runs[0])} cannot be one row: {key} differs")
        if spec_of(run).backbone != spec_of(runs[0]).backbone:
            raise UserError(f"{shown(run)} and {shown(runs[0])} are of two networks; remove the one that is not meant")
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
    """What pictures colour by; a network that is given by name can be one that an earlier search found."""
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
        raise UserError(f"{shown(flipped.parent)} is no evaluation with the flip test alone; remove it")
    with expecting(path, REMAKE_SCORE):
        made = str(score["command"]), str(score["commit"])
    return SeedRun(step.seed, row.mAP, row.rank1, *mirrored, *made, shown(run), tuple(row.notes))


def _counts(path: Path, run: Path, size: tuple[int, int] | None) -> dict[str, Any]:
    """Counts of a run's network, from a file where this network was counted before at that size."""
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
    write_json(path, data)
    return data


def figures_to_dict(row: Figures) -> dict[str, Any]:
    """For JSON, means and spreads beside the seeds."""
    data = dataclasses.asdict(row)
    for metric in ("mAP", "rank1", "flip_mAP", "flip_rank1"):
        data[metric], data[f"{metric}_spread"] = row.mean(metric), row.spread(metric)
    return data

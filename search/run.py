"""``run_search``: a whole search in a folder, from settings to arch files, resumable after each candidate."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nni.nas.execution import SequentialExecutionEngine
from tqdm import tqdm

from reid.errors import UserError
from search.config import SearchConfig, parse_time
from search.costs import CostTable
from search.finalists import Judge, choose_finalists, judged
from search.flops_words import format_flops
from search.folder import LOG
from search.history import Candidate, append_candidate, best_of
from search.limits import Limits, Region, make_region
from search.limits.limits import describe as describe_limits
from search.nni_bridge.engine import TeamEngine
from search.nni_bridge.space import ArchEvaluator, ArchSpace
from search.nni_bridge.strategy import GenerationSearch
from search.outcome import Asked, Ended, Measure, Report, SearchResult, Speed, check_scored, finish
from search.predictor import cross_validated_rank
from search.proposers import STRATEGIES
from search.proposers.base import Proposer
from search.proposers.pareto import front_costs
from search.proposers.screening import RECENT
from search.settings import check_strategy, open_search, settings_of
from search.workers import Evaluate, Team
from supernet.arch import Arch
from supernet.space import Space


def run_search(
    space: Space,
    evaluate: Evaluate,
    limits: Limits,
    config: SearchConfig,
    strategy: str,
    out: Path,
    seed: int = 0,
    *,
    resume: bool = False,
    progress: bool = True,
    origin: Mapping[str, Any] | None = None,
    table: CostTable | None = None,
    latency: Callable[[Arch], float] | None = None,
    measure: Measure | None = None,
    team: Team | None = None,
    judge: Judge | None = None,
    data: Mapping[str, Any] | None = None,
    report: Report | None = None,
) -> SearchResult:
    """Searches ``space`` for archs within ``limits`` that ``evaluate`` scores best.

    Writes ``candidates.jsonl`` (one line per candidate, at once, in the order of the trials), ``search.json``
    (settings, then the summary), ``front.json`` and ``archs/<prefix>-<limit>-A.yaml``, ``-B.yaml``, ... into ``out``. A
    search that was killed goes on with ``resume`` exactly as if it had not been; ``trials`` and ``time`` may then be
    raised.

    Args:
        evaluate: an arch at its size in ``space`` to ``{"default": score, "rank1": ...}``; a NaN score is a
            failed candidate, an exception ends the search (and ``resume`` goes on with the same candidate).
        limits: they stand in place of the config's; FLOPs by fvcore's count at ``config.cost_input_size``.
        strategy: a name in ``STRATEGIES``; ``"pareto"`` chooses archs along the front, the others the best ones.
        origin: what the scores depend on beside the settings (supernet, data, commit); stored in the arch
            files. A resumed search must be given the same, but for ``commit``.
        table: costs that were counted already, where several searches share them.
        latency: predicted ms of an arch on ``config.target``. A resumed search must be given the same.
        measure: measures the chosen archs on the target.
        team: processes that share the evaluations, of which this is the first; the log is the same for any number.
        judge: trains the finalists, where the config asks for some.
        data: settings that say which persons candidates are scored on. A resumed search must be given the same, unless
            it was begun before they were kept.
        report: shows the result in the folder, before the search is marked as finished there.

    Raises:
        UserError: the limits leave no arch, the strategy is unknown or does not fit the config, there are to be
            finalists and nothing that trains them, ``out`` has a search and ``resume`` is not set or its settings
            differ, or no candidate got a score.
    """
    check_strategy(strategy, config)
    if config.finalists.count and judge is None:
        raise UserError(f"search.finalists.count={config.finalists.count}: run_search needs a judge, which trains them")
    region = make_region(space, limits, config.min_flops_fraction, config.cost_input_size, table, latency)
    origin = dict(origin or {})
    asked = Asked(limits, config, settings_of(space, limits, config, strategy, seed, origin, data), origin)
    proposer = STRATEGIES[strategy](region, config, seed)
    history = open_search(out, asked.settings, resume)

    before, start = len(history), time.perf_counter()
    stopped = _evaluate_candidates(proposer, space, evaluate, history, out, progress, team or Team())
    speed = Speed(len(history) - before, time.perf_counter() - start)
    notes = [note for note in (region.note, stopped) if note]
    failed = sum(candidate.score is None for candidate in history)
    if failed:
        notes.append(f"{failed} of {len(history)} candidates got no score")
    predictor = _predictor_quality(region.space, history) if config.screen > 1 else {}
    check_scored(history)
    finalists = ()
    if config.finalists.count:
        finalists = judged(choose_finalists(region.space, history, config.finalists.count), judge)
    ended = Ended(history, front_costs(region, config), speed, notes, predictor, finalists)
    return finish(out, asked, ended, measure, report)


def _predictor_quality(space: Space, history: Sequence[Candidate]) -> dict:
    """How well the predictor that screened, which learns from the last ``RECENT`` scores alone, orders candidates that
    it has not seen; nothing where there are too few."""
    scored = [candidate for candidate in history if candidate.score is not None]
    try:
        spearman, kendall = cross_validated_rank(space, scored[-RECENT:])
    except UserError:
        return {}
    return {"spearman": round(spearman, 4), "kendall": round(kendall, 4)}


def _evaluate_candidates(
    proposer: Proposer,
    space: Space,
    evaluate: Evaluate,
    history: list[Candidate],
    out: Path,
    progress: bool,
    team: Team,
) -> str:
    """Runs NNI until ``history`` has all trials; a note where it ended before."""
    config, region = proposer.config, proposer.region
    if config.trials is not None and len(history) >= config.trials:
        return ""
    best = best_of(history, 1)
    seconds = None if config.time is None else parse_time(config.time)
    with tqdm(total=config.trials, initial=len(history), desc="search", unit="arch", disable=not progress) as bar:

        def on_candidate(candidate: Candidate) -> None:
            nonlocal best
            append_candidate(out / LOG, candidate)
            history.append(candidate)
            best = best_of([*best, candidate], 1)
            if best:
                bar.set_postfix(best=f"{best[0].score:.4f}", flops=format_flops(best[0].flops), refresh=False)
            bar.update()

        workers = team.size
        search = GenerationSearch(proposer, config.generation, config.trials, workers, list(history), on_candidate)
        engine = TeamEngine(team, seconds) if workers > 1 else SequentialExecutionEngine(max_duration=seconds)
        search(ArchSpace(space, ArchEvaluator(evaluate)), engine)
    if search.exhausted:
        return _no_further(region, len(history))
    if config.trials is None or len(history) < config.trials:
        return f"the time of {config.time} was spent after {len(history)} candidates; --resume goes on"
    return ""


def _no_further(region: Region, count: int) -> str:
    band = f"{format_flops(region.lower)} to {format_flops(region.upper)}"
    if region.limits.flops is None or len(region.limits.given()) > 1:
        band = f"{describe_limits(region.limits)}"
    return f"no further arch of {band} was found: the search ended after {count} candidates"

"""``run_search``: a whole search in a folder, from settings to arch files, resumable after each candidate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from nni.nas.execution import SequentialExecutionEngine
from tqdm import tqdm

from reid.errors import UserError
from reid.words import counted
from search.asked import Asked
from search.config import parse_time
from search.finalists import choose_finalists, judged
from search.flops_words import format_flops
from search.folder import LOG
from search.history import Candidate, append_candidate, best_of
from search.limits import Region, make_region
from search.limits.limits import describe as describe_limits
from search.means import Means
from search.nni_bridge.engine import TeamEngine
from search.nni_bridge.space import ArchEvaluator, ArchSpace
from search.nni_bridge.strategy import GenerationSearch
from search.outcome import Ended, finish
from search.predictor import cross_validated_rank
from search.proposers import STRATEGIES
from search.proposers.base import Proposer
from search.proposers.pareto import front_costs
from search.proposers.screening import RECENT
from search.result import SearchResult, Speed
from search.settings import check_strategy, open_search, settings_of
from supernet.space import Space


def run_search(asked: Asked, means: Means, out: Path, *, resume: bool = False, progress: bool = True) -> SearchResult:
    """Searches a space for the archs within limits that ``means.evaluate`` scores best.

    Writes ``candidates.jsonl`` (one line per candidate, at once, in the order of the trials), ``search.json``
    (settings, then the summary), ``front.json`` and ``archs/<prefix>-<limit>-A.yaml``, ``-B.yaml``, ... into ``out``. A
    search that was killed goes on with ``resume`` exactly as if it had not been; ``trials`` and ``time`` may then be
    raised.

    Raises:
        UserError: the limits leave no arch, the strategy is unknown or does not fit the config, there are to be
            finalists and nothing that trains them, ``out`` has a search and ``resume`` is not set or its settings
            differ, or no candidate got a score.
    """
    config = asked.config
    check_strategy(asked.strategy, config)
    if config.finalists.count and means.judge is None:
        raise UserError(
            f"search.finalists.count={config.finalists.count}: run_search needs a judge that trains the finalists; "
            "give one"
        )
    least, size = config.min_flops_fraction, config.cost_input_size
    region = make_region(asked.space, asked.limits, least, size, means.table, means.latency)
    proposer = STRATEGIES[asked.strategy](region, config, asked.seed)
    history = open_search(out, settings_of(asked), resume)

    before, start = len(history), time.perf_counter()
    stopped = _evaluate_candidates(proposer, asked.space, means, history, out, progress)
    speed = Speed(len(history) - before, time.perf_counter() - start)
    notes = [note for note in (region.note, stopped) if note]
    failed = sum(candidate.score is None for candidate in history)
    if failed:
        notes.append(f"{failed} of {len(history)} candidates got no score")
    predictor = _predictor_quality(region.space, history) if config.screen > 1 else {}
    _check_scored(history)
    finalists = ()
    if config.finalists.count:
        finalists = judged(choose_finalists(region.space, history, config.finalists.count), means.judge)
    return finish(out, asked, Ended(history, front_costs(region, config), speed, notes, predictor, finalists), means)


def _check_scored(history: Sequence[Candidate]) -> None:
    """Raises UserError where no candidate got a score."""
    if not history:  # time is only looked at between candidates
        raise UserError("no arch was found within the limits; lower search.min_flops_fraction, or raise a limit")
    if all(candidate.score is None for candidate in history):
        raise UserError(
            f"none of {len(history)} candidates got a score; check that the supernet's training did not diverge, or "
            "train it again"
        )


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
    proposer: Proposer, space: Space, means: Means, history: list[Candidate], out: Path, progress: bool
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

        workers = means.team.size
        search = GenerationSearch(proposer, config.generation, config.trials, workers, list(history), on_candidate)
        engine = TeamEngine(means.team, seconds) if workers > 1 else SequentialExecutionEngine(max_duration=seconds)
        search(ArchSpace(space, ArchEvaluator(means.evaluate)), engine)
    if search.exhausted:
        return _no_further(region, len(history))
    if config.trials is None or len(history) < config.trials:
        done = counted(len(history), "candidate")
        return f"the time limit of {config.time} was reached after {done}; --resume continues"
    return ""


def _no_further(region: Region, count: int) -> str:
    band = f"{format_flops(region.lower)} to {format_flops(region.upper)}"
    if region.limits.flops is None or len(region.limits.given()) > 1:
        band = f"{describe_limits(region.limits)}"
    return f"no further arch of {band} was found: the search ended after {counted(count, 'candidate')}"

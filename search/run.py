"""``run_search``: a whole search in a folder, from settings to arch files, resumable after each candidate."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nni.nas.execution import SequentialExecutionEngine
from tqdm import tqdm

from reid.config import config_to_dict
from reid.errors import UserError, nearest
from reid.files import read_json, write_json
from search.config import SearchConfig, parse_time
from search.cost import CostTable, format_flops
from search.finalists import Judge, choose_finalists, judged
from search.history import Candidate, append_candidate, recover_candidates
from search.limits import Limits
from search.limits import describe as describe_limits
from search.nni_bridge.engine import TeamEngine
from search.nni_bridge.space import ArchEvaluator, ArchSpace
from search.nni_bridge.strategy import GenerationSearch
from search.outcome import LOG, SUMMARY, Measure, SearchResult, Speed, best_of, check_scored, finish
from search.predictor import cross_validated_rank
from search.proposers import STRATEGIES
from search.proposers.base import Proposer
from search.proposers.pareto import cost_field
from search.proposers.screening import RECENT
from search.region import Region, make_region
from search.workers import Evaluate, Team
from supernet.arch import Arch
from supernet.space import Space
from supernet.stage import INVERTED_RESIDUAL

# What a resumed search may change: no part in which archs are proposed or how they score. The limits are kept as read.
_FREE = ("flops", "latency", "parameters", "trials", "time", "finalists", "top_k", "name_prefix")


def run_search(
    space: Space,
    evaluate: Evaluate,
    limits: Limits,
    config: SearchConfig,
    strategy: str,
    out: Path,
    seed: int = 0,
    resume: bool = False,
    progress: bool = True,
    origin: Mapping[str, Any] | None = None,
    table: CostTable | None = None,
    latency: Callable[[Arch], float] | None = None,
    measure: Measure | None = None,
    team: Team | None = None,
    judge: Judge | None = None,
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

    Raises:
        UserError: the limits leave no arch, the strategy is unknown or does not fit the config, ``out`` has a search
            and ``resume`` is not set or its settings differ, or no candidate got a score.
    """
    _check(space, strategy, config)
    region = make_region(space, limits, config.min_flops_fraction, config.cost_input_size, table, latency)
    origin = dict(origin or {})
    settings = _settings(space, limits, config, strategy, seed, origin)
    history = _open(out, settings, resume)

    proposer = STRATEGIES[strategy](region, config, seed)
    before, start = len(history), time.perf_counter()
    ended = _evaluate_candidates(proposer, space, evaluate, history, out, progress, team or Team())
    speed = Speed(len(history) - before, time.perf_counter() - start)
    notes = [note for note in (region.note, ended) if note]
    failed = sum(candidate.score is None for candidate in history)
    if failed:
        notes.append(f"{failed} of {len(history)} candidates got no score")
    predictor = _predictor_quality(region.space, history) if config.screen > 1 else {}
    check_scored(history)
    finalists = ()
    if config.finalists.count and judge is not None:
        finalists = judged(choose_finalists(region.space, history, config.finalists.count), judge)
    cost = cost_field(region)
    return finish(out, history, limits, config, cost, settings, origin, notes, speed, measure, predictor, finalists)


def _predictor_quality(space: Space, history: Sequence[Candidate]) -> dict:
    """How well the predictor that screened, which learns from the last ``RECENT`` scores alone, orders candidates that
    it has not seen; nothing where there are too few."""
    scored = [candidate for candidate in history if candidate.score is not None]
    try:
        spearman, kendall = cross_validated_rank(space, scored[-RECENT:])
    except UserError:
        return {}
    return {"spearman": round(spearman, 4), "kendall": round(kendall, 4)}


def _check(space: Space, strategy: str, config: SearchConfig) -> None:
    if strategy not in STRATEGIES:
        hint = nearest(strategy, STRATEGIES) or f"; known: {', '.join(STRATEGIES)}"
        raise UserError(f"strategy '{strategy}' is unknown{hint}")
    if strategy == "random" and config.screen > 1:
        raise UserError(f"search.screen={config.screen} is for evolution and pareto: random search draws what it draws")
    if strategy == "pareto" and config.finalists.count:
        raise UserError(
            f"search.finalists.count={config.finalists.count} is for evolution and random: pareto gives a whole front, "
            "of which no arch is the best; set it to 0"
        )


def _settings(
    space: Space, limits: Limits, config: SearchConfig, strategy: str, seed: int, origin: Mapping[str, Any]
) -> dict:
    """All that decides which candidates a search proposes and how they score, as JSON gives it back."""
    kept = {key: value for key, value in config_to_dict(config).items() if key not in _FREE}
    if not config.learn_from:  # as in searches that were begun before there was such a key; origin has what was learnt
        del kept["learn_from"]
    depends = {key: value for key, value in origin.items() if key != "commit"}
    own = {"space": space_settings(space), "strategy": strategy, "seed": seed}
    own |= {f"limit_{name}": limit for name, limit in asdict(limits).items()}
    return json.loads(json.dumps({**own, **kept, "origin": depends}))


def space_settings(space: Space) -> dict:
    """The fields of ``space``, and of each stage the kind of its blocks where it is another than the first there was.

    Stems at their default are left out, so that searches that were begun before they could be chosen are gone on with.
    """
    fields = asdict(space)
    for stage, own in zip(space.stages, fields["stages"], strict=True):
        own |= {} if stage.kind == INVERTED_RESIDUAL else {"block": stage.kind}
    stems = ("stem_kernels", "stem_pool")
    return {key: value for key, value in fields.items() if key not in stems or value != getattr(Space, key)}


def _open(out: Path, settings: dict, resume: bool) -> list[Candidate]:
    """The candidates so far; the folder is made ready for more."""
    begun = (out / SUMMARY).exists() or (out / LOG).exists()
    if begun and not resume:
        raise UserError(f"{out} holds a search already: go on with --resume, or give another --out")
    if resume and not begun:
        raise UserError(f"{out} holds no search to resume: leave --resume out, or give another --out")
    if begun:
        before = read_json(out / SUMMARY).get("settings", {})
        for name, value in settings.items():
            if before.get(name) != value:
                given, had = (_short(each) for each in (value, before.get(name)))
                cure = "give the same, or another --out"
                what = f"another {name} ({had}, now {given})"
                raise UserError(f"the search in {out} was begun with {what}: {cure}")
    history = recover_candidates(out / LOG)
    write_json(out / SUMMARY, {"finished": False, "settings": settings})
    return history


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


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

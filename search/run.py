"""``run_search``: a whole search in a folder, from settings to arch files, resumable after each candidate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from nni.nas.execution import SequentialExecutionEngine
from tqdm import tqdm

from reid.config import config_to_dict
from reid.errors import UserError, nearest
from reid.files import read_json, write_json
from search.config import SearchConfig
from search.cost import CostTable, format_flops, network_counts
from search.front import pareto_front, write_front
from search.history import Candidate, append_candidate, read_candidates
from search.nni_space import ArchEvaluator, ArchSpace, Evaluate
from search.region import Region, make_region
from search.strategy import STRATEGIES
from supernet.files import NamedArch, save_arch
from supernet.network import build_network
from supernet.space import Space

LOG, FRONT, SUMMARY, ARCHS = "candidates.jsonl", "front.json", "search.json", "archs"

# What a resumed search may change: no part in which archs are proposed or how they score.
_FREE = ("flops", "trials", "top_k", "name_prefix")


@dataclass(frozen=True)
class SearchResult:
    """What a finished search gives.

    Attributes:
        out: the folder that all files are in.
        candidates: in the order of evaluation.
        front: the Pareto front of FLOPs and score.
        best: the best candidates, best first; ``archs`` are their files.
        notes: lines for the user, e.g. that the space had fewer archs than trials were asked for.
    """

    out: Path
    candidates: tuple[Candidate, ...]
    front: tuple[Candidate, ...]
    best: tuple[Candidate, ...]
    archs: tuple[Path, ...]
    notes: tuple[str, ...]


def run_search(
    space: Space,
    evaluate: Evaluate,
    limit_flops: int,
    config: SearchConfig,
    strategy: str,
    out: Path,
    seed: int = 0,
    resume: bool = False,
    progress: bool = True,
    origin: Mapping[str, Any] | None = None,
    table: CostTable | None = None,
) -> SearchResult:
    """Searches ``space`` for archs of at most ``limit_flops`` that ``evaluate`` scores best.

    Writes ``candidates.jsonl`` (one line per candidate, at once), ``search.json`` (settings, then the
    summary), ``front.json`` and ``archs/<prefix>-<limit>-A.yaml``, ``-B.yaml``, ... into ``out``. A search
    that was killed goes on with ``resume`` exactly as if it had not been; ``trials`` may then be raised.

    Args:
        evaluate: an arch at ``space.input_size`` to ``{"default": score, "rank1": ...}``; a NaN score is a
            failed candidate, an exception ends the search (and ``resume`` goes on with the same candidate).
        limit_flops: fvcore's count at ``config.cost_input_size``; it stands in place of ``config.flops``.
        strategy: ``"evolution"`` or ``"random"``.
        origin: what the scores depend on beside the settings (supernet, data, commit); stored in the arch
            files. A resumed search must be given the same, but for ``commit``.
        table: costs that were counted already, where several searches share them.

    Raises:
        UserError: the limit is below the smallest arch, the strategy is unknown, ``out`` has a search and
            ``resume`` is not set or its settings differ, or no candidate got a score.
    """
    if strategy not in STRATEGIES:
        hint = nearest(strategy, STRATEGIES) or f"; known: {', '.join(STRATEGIES)}"
        raise UserError(f"strategy '{strategy}' is unknown{hint}")
    region = make_region(space, limit_flops, config.min_flops_fraction, config.cost_input_size, table)
    origin = dict(origin or {})
    settings = _settings(space, limit_flops, config, strategy, seed, origin)
    history = _open(out, settings, resume)

    exhausted = _evaluate_candidates(region, space, evaluate, config, strategy, seed, history, out / LOG, progress)
    notes = [region.note] if region.note else []
    if exhausted:
        band = f"{format_flops(region.lower)} to {format_flops(region.upper)}"
        notes.append(f"no further arch of {band} was found: the search ended after {len(history)} candidates")
    failed = sum(candidate.score is None for candidate in history)
    if failed:
        notes.append(f"{failed} of {len(history)} candidates got no score")
    return _finish(out, space, history, limit_flops, config, settings, origin, notes)


def _settings(
    space: Space, limit: int, config: SearchConfig, strategy: str, seed: int, origin: Mapping[str, Any]
) -> dict:
    """All that decides which candidates a search proposes and how they score, as JSON gives it back."""
    kept = {key: value for key, value in config_to_dict(config).items() if key not in _FREE}
    depends = {key: value for key, value in origin.items() if key != "commit"}
    own = {"space": asdict(space), "limit_flops": limit, "strategy": strategy, "seed": seed}
    return json.loads(json.dumps({**own, **kept, "origin": depends}))


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
    history = read_candidates(out / LOG)
    write_json(out / SUMMARY, {"finished": False, "settings": settings})
    return history


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _evaluate_candidates(
    region: Region,
    space: Space,
    evaluate: Evaluate,
    config: SearchConfig,
    strategy: str,
    seed: int,
    history: list[Candidate],
    log: Path,
    progress: bool,
) -> bool:
    """Runs NNI until ``history`` has all trials; ``True`` where the region had fewer archs."""
    if len(history) >= config.trials:
        return False
    best = _best(history, 1)
    with tqdm(total=config.trials, initial=len(history), desc="search", unit="arch", disable=not progress) as bar:

        def on_candidate(candidate: Candidate) -> None:
            append_candidate(log, candidate)
            history.append(candidate)
            best[:] = _best([*best, candidate], 1)
            if best:
                bar.set_postfix(best=f"{best[0].score:.4f}", flops=format_flops(best[0].flops), refresh=False)
            bar.update()

        engine = SequentialExecutionEngine(max_model_count=config.trials - len(history))
        search = STRATEGIES[strategy](region, config, seed, list(history), on_candidate)
        search(ArchSpace(space, ArchEvaluator(evaluate)), engine)
    return search.exhausted


def _best(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """Highest score first; of equal scores the cheaper, then the earlier one."""
    scored = [candidate for candidate in candidates if candidate.score is not None]
    return sorted(scored, key=lambda each: (-each.score, each.flops, each.trial))[:count]


def _finish(
    out: Path,
    space: Space,
    history: Sequence[Candidate],
    limit: int,
    config: SearchConfig,
    settings: dict,
    origin: Mapping[str, Any],
    notes: Sequence[str],
) -> SearchResult:
    best = _best(history, config.top_k)
    if not best:
        cure = "lower min_flops_fraction" if not history else "is the supernet trained?"
        raise UserError(f"none of {len(history)} candidates got a score: {cure}")
    front = pareto_front(history)
    write_front(out / FRONT, front)
    source = {"space": space.name, **{key: settings[key] for key in ("strategy", "seed", "limit_flops")}}
    archs, rows = [], []
    for letter, candidate in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", best, strict=False):
        name = f"{config.name_prefix}-{limit / 1e6:.10g}M-{letter}"
        facts = _describe(candidate)
        named = NamedArch(name, candidate.arch, {**source, **facts, **origin})
        archs.append(save_arch(out / ARCHS / f"{name}.yaml", named))
        rows.append({"name": name, "file": f"{ARCHS}/{name}.yaml", **facts})
    summary = {
        "candidates": len(history),
        "failed": sum(candidate.score is None for candidate in history),
        "seconds": round(sum(candidate.seconds for candidate in history), 3),
        "front": len(front),
        "best": rows,
        "notes": list(notes),
    }
    write_json(out / SUMMARY, {"finished": True, **summary, "settings": settings, "run_origin": dict(origin)})
    return SearchResult(out, tuple(history), front, tuple(best), tuple(archs), tuple(notes))


def _describe(candidate: Candidate) -> dict:
    """What a chosen arch costs and scored; FLOPs by each of the three counts of ``search.cost``."""
    with torch.random.fork_rng(devices=[]):
        network = build_network(candidate.arch)
    counts = network_counts(network, candidate.arch.input_size)
    return {
        "trial": candidate.trial,
        "score": candidate.score,
        "rank1": candidate.rank1,
        "flops": candidate.flops,
        "flops_mlr": counts.mlr,
        "conv_linear_macs": counts.conv_linear,
        "parameters": candidate.parameters,
    }

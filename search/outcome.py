"""What a search leaves when it ends: the front, the chosen archs as files, and a summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reid.errors import UserError
from reid.files import expecting, read_mapping, write_json
from search.config import FinalistsConfig, SearchConfig
from search.finalists import Finalist
from search.front import knees, pareto_front, write_front
from search.fvcore_counts import network_counts
from search.history import Candidate, best_of
from search.limits import Limits
from supernet.arch import Arch
from supernet.files import NamedArch, save_arch
from supernet.network import build_network

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LOG, FRONT, SUMMARY, ARCHS = "candidates.jsonl", "front.json", "search.json", "archs"

Measure = Callable[[Sequence[Arch]], Sequence[float]]
"""Latencies of whole networks in ms, measured on the target."""


@dataclass(frozen=True)
class Speed:
    """How fast a call of the search was, whatever was evaluated before it.

    Attributes:
        candidates: evaluated by this call, by all of its processes together.
        seconds: from the first one's proposal until the last one was logged.
    """

    candidates: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.candidates / self.seconds if self.candidates else 0.0


@dataclass(frozen=True)
class SearchResult:
    """What a finished search gives.

    Attributes:
        out: the folder that all files are in.
        candidates: in the order of their trials.
        front: the Pareto front of costs and score, cheapest by the first of the costs first.
        costs: the fields of ``Candidate`` that are the front's costs, of ``flops``, ``latency_ms`` and ``parameters``.
        best: the chosen candidates, best first; ``archs`` are their files.
        measured_ms: their latencies as measured on the target; empty where there is none.
        notes: lines for the user, e.g. that the space had fewer archs than trials were asked for.
        predictor: Spearman's and Kendall's rank correlation of the predictor that screened children with scores that it
            had not seen; empty where none screened.
        speed: of the call that ended the search.
        finalists: best first; ``best`` are the first of them. Empty where none was trained.
    """

    out: Path
    candidates: tuple[Candidate, ...]
    front: tuple[Candidate, ...]
    costs: tuple[str, ...]
    best: tuple[Candidate, ...]
    archs: tuple[Path, ...]
    measured_ms: tuple[float, ...]
    notes: tuple[str, ...]
    predictor: Mapping[str, float]
    speed: Speed
    finalists: tuple[Finalist, ...] = ()


Report = Callable[[SearchResult], object]
"""Shows a result in the search's folder."""


def finish(
    out: Path,
    history: Sequence[Candidate],
    limits: Limits,
    config: SearchConfig,
    costs: Sequence[str],
    settings: Mapping[str, Any],
    origin: Mapping[str, Any],
    notes: Sequence[str],
    speed: Speed,
    measure: Measure | None = None,
    predictor: Mapping[str, float] | None = None,
    finalists: Sequence[Finalist] = (),
    report: Report | None = None,
) -> SearchResult:
    """Writes everything but the log into ``out``, last the summary, by which the search is taken for finished.

    Args:
        costs: the fields that the front is drawn over.
        settings: of the search, by ``search.settings``.
        origin: goes into the arch files and the summary.
        speed: of this call; candidates of an earlier one count in ``seconds`` of the summary alone.
        measure: measures the chosen archs.
        predictor, finalists: see ``SearchResult``.
        report: called before the summary is written.

    Raises:
        UserError: no candidate got a score.
    """
    check_scored(history)
    best = tuple(each.candidate for each in finalists[: config.top_k]) or best_of(history, config.top_k)
    front = pareto_front(history, minimise=costs)
    if settings["strategy"] == "pareto":
        best = knees(front, config.top_k, costs)
    write_front(out / FRONT, front)
    measured = tuple(measure([each.arch for each in best])) if measure else ()
    archs, rows = [], []
    names = arch_names(config, limits)
    for name in {*names, *archs_before(out)} - set(names[: len(best)]):  # no longer among the chosen
        (out / ARCHS / f"{name}.yaml").unlink(missing_ok=True)
    for index, (name, candidate) in enumerate(zip(names, best, strict=False)):
        about = describe(candidate) | ({"measured_ms": measured[index]} if measured else {})
        about |= {"trained_score": finalists[index].trained} if finalists else {}
        archs.append(write_arch(out, name, candidate.arch, settings, about, origin))
        rows.append({"name": name, "file": f"{ARCHS}/{name}.yaml", **about})
    summary = {
        "candidates": len(history),
        "failed": sum(candidate.score is None for candidate in history),
        "seconds": round(sum(candidate.seconds for candidate in history), 3),
        "candidates_per_second": round(speed.per_second, 4),
        "front": len(front),
        "best": rows,
        "notes": list(notes),
        **({"predictor": dict(predictor)} if predictor else {}),
        **({"finalists": _trained(finalists, config.finalists)} if finalists else {}),
    }
    found = (tuple(history), front, tuple(costs), best, tuple(archs), measured, tuple(notes))
    result = SearchResult(out, *found, predictor or {}, speed, tuple(finalists))
    if report is not None:
        report(result)
    write_json(out / SUMMARY, {"finished": True, **summary, "settings": settings, "run_origin": dict(origin)})
    return result


def arch_names(config: SearchConfig, limits: Limits) -> list[str]:
    """What a search within ``limits`` can call its archs, best first; it writes the first ``config.top_k``."""
    return [f"{config.name_prefix}-{limit_name(limits)}-{letter}" for letter in LETTERS]


def archs_before(out: Path) -> list[str]:
    """Names of the archs that the search in ``out`` has written until now, as its summary has them; none without one.

    Raises:
        UserError: the summary is damaged.
    """
    path = out / SUMMARY
    if not path.is_file():
        return []
    summary = read_mapping(path)
    with expecting(path):
        names = summary.get("former") or [row["name"] for row in summary.get("best", [])]
        return [name for name in names if Path(name).name == name]


def check_scored(history: Sequence[Candidate]) -> None:
    """Raises UserError where no candidate got a score."""
    if all(candidate.score is None for candidate in history):
        cure = "lower min_flops_fraction" if not history else "is the supernet trained?"
        raise UserError(f"none of {len(history)} candidates got a score: {cure}")


def _trained(finalists: Sequence[Finalist], config: FinalistsConfig) -> dict[str, Any]:
    rows = [
        {"trial": each.candidate.trial, "score": each.candidate.score, "trained_score": each.trained}
        for each in finalists
    ]
    return {"start": config.start, "epochs": config.epochs, "best_first": rows}


def write_arch(
    out: Path, name: str, arch: Arch, settings: Mapping[str, Any], about: Mapping[str, Any], origin: Mapping[str, Any]
) -> Path:
    """Writes ``archs/<name>.yaml``, with where the arch is from and what is known of it."""
    own = {key: settings[key] for key in ("strategy", "seed", "target") if settings.get(key) is not None}
    limits = {key: value for key, value in settings.items() if key.startswith("limit_") and value is not None}
    source = {"space": settings["space"]["name"], **own, **limits}
    return save_arch(out / ARCHS / f"{name}.yaml", NamedArch(name, arch, {**source, **about, **origin}))


def limit_name(limits: Limits) -> str:
    """The limits in the names of archs: ``210M``, ``5ms``, ``2.2Mp``, or ``210M-5ms`` for two together."""
    words = {
        "flops": lambda limit: f"{limit / 1e6:.10g}M",
        "latency_ms": lambda limit: f"{limit:.10g}ms",
        "parameters": lambda limit: f"{limit / 1e6:.10g}Mp",
    }
    return "-".join(words[name](limit) for name, limit in limits.given().items())


def describe(candidate: Candidate) -> dict[str, Any]:
    """What an arch costs and scored; FLOPs by each of the three counts of ``search.fvcore_counts``."""
    with torch.random.fork_rng(devices=[]):
        network = build_network(candidate.arch)
    counts = network_counts(network, candidate.arch.input_size)
    facts = {
        "trial": candidate.trial,
        "score": candidate.score,
        "rank1": candidate.rank1,
        "flops": candidate.flops,
        "flops_mlr": counts.mlr,
        "conv_linear_macs": counts.conv_linear,
        "parameters": candidate.parameters,
    }
    return facts if candidate.latency_ms is None else {**facts, "latency_ms": candidate.latency_ms}

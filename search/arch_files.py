"""Arch files of the archs that a search chooses: their names and contents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from reid.files import expecting, read_mapping
from search.config import SearchConfig
from search.costs import network_counts
from search.folder import ARCHS, SUMMARY
from search.history import Candidate
from search.limits import Limits
from supernet.arch import Arch
from supernet.files import NamedArch, save_arch
from supernet.network import build_network

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def arch_names(config: SearchConfig, limits: Limits) -> list[str]:
    """Names for the archs of a search within ``limits``, best first; the first ``config.top_k`` are used."""
    return [f"{config.name_prefix}-{limit_name(limits)}-{letter}" for letter in LETTERS]


def limit_name(limits: Limits) -> str:
    """The limits in the names of archs: ``210M``, ``5ms``, ``2.2Mp``, or ``210M-5ms`` for two together."""
    words = {
        "flops": lambda limit: f"{limit / 1e6:.10g}M",
        "latency_ms": lambda limit: f"{limit:.10g}ms",
        "parameters": lambda limit: f"{limit / 1e6:.10g}Mp",
    }
    return "-".join(words[name](limit) for name, limit in limits.given().items())


def archs_before(out: Path) -> list[str]:
    """Names of the archs that the search in ``out`` has written so far, from its summary; none without a summary.

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


def write_arch(
    out: Path, name: str, arch: Arch, settings: Mapping[str, Any], about: Mapping[str, Any], origin: Mapping[str, Any]
) -> Path:
    """Writes ``archs/<name>.yaml``, with the arch's origin and the facts about it."""
    own = {key: settings[key] for key in ("strategy", "seed", "target") if settings.get(key) is not None}
    limits = {key: value for key, value in settings.items() if key.startswith("limit_") and value is not None}
    source = {"space": settings["space"]["name"], **own, **limits}
    return save_arch(out / ARCHS / f"{name}.yaml", NamedArch(name, arch, {**source, **about, **origin}))


def describe(candidate: Candidate) -> dict[str, Any]:
    """A candidate's costs and scores, with FLOPs by each of the three counts of ``search.costs.fvcore_counts``."""
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

"""Trained networks as text for a terminal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from evaluation.tables import aligned
from search.flops_words import format_flops
from search.gain.analysis import BASELINE, FOUND, INHERITED, METRICS, RANDOM, Trained

KIND_WORDS = {FOUND: "found", RANDOM: "random", BASELINE: "baseline", INHERITED: "supernet"}


def network_table(networks: Sequence[Trained]) -> str:
    """One line per network: mean and standard deviation over its seeds in percent, FLOPs and parameters. Below each
    recipe's random archs, a line with their mean and the standard deviation between their means."""
    return aligned(network_cells(networks), word_columns(networks))


def word_columns(networks: Sequence[Trained]) -> int:
    """The number of columns that are words; one of them is the recipe if any has a name."""
    return 3 if any(network.recipe for network in networks) else 2


def network_cells(networks: Sequence[Trained]) -> list[tuple[str, ...]]:
    """The lines of ``network_table`` as cells, heading first."""
    rows = [("network", "kind", "recipe", "seeds", "mAP", "Rank-1", "FLOPs", "params")]
    for network in networks:
        rows.append(_cells(network.name, str(len(network.seeds)), [network]))
        group = [each for each in networks if (each.kind, each.recipe) == (RANDOM, network.recipe)]
        if len(group) > 1 and network is group[-1]:
            rows.append(_cells(f"mean of {len(group)}", "", group))
    return rows if word_columns(networks) == 3 else [row[:2] + row[3:] for row in rows]


def _cells(name: str, seeds: str, group: Sequence[Trained]) -> tuple[str, ...]:
    """The cells of a group of one kind and recipe; a single network is a group too."""
    alone = group[0] if len(group) == 1 else None
    mAP, rank1 = (
        getattr(alone, metric) if alone else [statistics.fmean(getattr(each, metric)) for each in group]
        for metric in METRICS
    )
    flops, parameters = (statistics.fmean(getattr(each, cost) for each in group) for cost in ("flops", "parameters"))
    words = (name, KIND_WORDS[group[0].kind], group[0].recipe, seeds)
    return (*words, _spread(mAP), _spread(rank1), format_flops(flops), f"{parameters / 1e6:.2f}M")


def _spread(values: Sequence[float]) -> str:
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.fmean(values):.1f}{spread}"

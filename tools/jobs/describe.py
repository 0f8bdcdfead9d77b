"""The job of ``tools/describe.py``: the structure and cost of networks and spaces."""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from evaluation.pictures.architecture import draw_architecture
from evaluation.tables import aligned
from reid.errors import UserError
from reid.models.network import ReidNetwork, count_parameters
from search.costs import CostTable, NetworkCounts, UnitCost, flops_range, network_counts, unit_costs
from search.explanation.caution import option_word
from search.flops_words import format_flops
from search.latency import Target, measure_networks
from search.limits.limits import format_latency
from supernet.arch import Arch
from supernet.catalog import NetworkSpec, build, find_network
from supernet.space import Space, decode, describe
from supernet.space.genome import sample
from supernet.trained import network_file
from supernet.trained.checkpoint import read_spec
from supernet.trained.zoo import zoo_entries
from tools.jobs.words.units import unit_name, unit_words

DRAWN = 1000
"""Number of archs from which a space's typical costs are estimated."""


@dataclass(frozen=True, eq=False)
class Described:
    """A network and its cost for one image.

    Attributes:
        median_ms: of a call on the target, if one was given.
    """

    spec: NetworkSpec
    network: ReidNetwork
    counts: NetworkCounts
    median_ms: float | None = None


def find_described(
    name: str,
    folders: Sequence[Path],
    size: tuple[int, int] | None,
    default_size: tuple[int, int],
    last_stride: int | None = None,
) -> NetworkSpec:
    """The network for ``name``: a name (also of the zoo), arch file, weights file or run folder. Other arguments and
    errors as in ``supernet.catalog.find_network``.

    Args:
        last_stride: for backbones without a fixed one; ``None`` for 2, or for a trained network's own.

    Raises:
        UserError: also if a trained network has another last stride.
    """
    in_zoo = name.lower() in {entry.name.lower() for entry in zoo_entries()}
    if Path(name).is_file() and not name.endswith((".safetensors", ".yaml", ".yml")):
        raise UserError(f"{name} is neither an arch file (.yaml) nor a file of weights; name the run of its network")
    if not (in_zoo or Path(name).is_dir() or name.endswith(".safetensors")):
        return find_network(name, folders, size, default_size, last_stride or 2)[0]
    spec = read_spec(network_file(name)).at(size)
    trained = open_stride(spec)
    if last_stride and trained not in (None, last_stride):
        raise UserError(
            f"--last-stride {last_stride}: {name} was trained with a last stride of {trained}; leave the option out, "
            f"or name the backbone, {spec.backbone.name}"
        )
    return spec


def open_stride(spec: NetworkSpec) -> int | None:
    """The last stride of a backbone that allows several; ``None`` for an arch, or for a backbone with a fixed one."""
    return None if isinstance(spec.backbone, Arch) else spec.backbone.last_stride


def told_apart(specs: Sequence[NetworkSpec]) -> list[NetworkSpec]:
    """The same networks with distinct names; repeated ones are numbered (``A``, ``A-2``). Different searches give their
    archs the same names, and a picture's file is named after its network."""
    taken = {spec.name for spec in specs}
    named, seen = [], set()
    for spec in specs:
        name = spec.name
        if name in seen:
            name = next(f"{name}-{number}" for number in itertools.count(2) if f"{name}-{number}" not in taken)
        taken.add(name)
        seen.add(name)
        named.append(replace(spec, name=name))
    return named


def describe_networks(specs: Sequence[NetworkSpec], target: Target | None = None) -> list[Described]:
    """Counts of each network and, with ``target``, its latency, measured in turn.

    Raises:
        UserError: a network cannot be built, or this machine does not support ``target``.
    """
    networks = [build(spec) for spec in specs]
    counts = [network_counts(network, spec.input_size) for network, spec in zip(networks, specs, strict=True)]
    times: list[float | None] = [None] * len(specs)
    if target is not None:
        sized = [(network, spec.input_size) for network, spec in zip(networks, specs, strict=True)]
        times = [timing.median_ms for timing in measure_networks(sized, target, progress=True)]
    return [Described(*each) for each in zip(specs, networks, counts, times, strict=True)]


def networks_table(rows: Sequence[Described], target: Target | None = None) -> str:
    """One line per network, with all three counts of FLOPs."""
    header = ["name", "input", "FLOPs", "MLR's count", "conv+linear", "params", "feature"]
    lines = [header + ([target.name] if target else [])]
    for row in rows:
        counts = (format_flops(count) for count in (row.counts.flops, row.counts.mlr, row.counts.conv_linear))
        cells = [row.spec.name, "{}x{}".format(*row.spec.input_size), *counts, _millions(count_parameters(row.network))]
        cells.append(str(row.network.feature_dim))
        lines.append(cells + ([] if row.median_ms is None else [format_latency(row.median_ms)]))
    return aligned(lines)


def units_table(row: Described) -> str:
    """One line per block of a network: its kind, its output, its cost and its share of the FLOPs."""
    arch = row.spec.backbone if isinstance(row.spec.backbone, Arch) else None
    lines = [["unit", "what", "gives", "FLOPs", "share", "params"]]
    for unit in unit_costs(row.network, row.spec.input_size):
        named = arch is not None and unit.path
        name = unit_name(unit, arch) if named else unit.path or "(no module of its own)"
        flops, share = (format_flops(unit.flops), f"{100 * unit.flops / row.counts.flops:.1f} %")
        costs = [flops, share] if unit.flops else ["-", "-"]
        parameters = f"{unit.parameters:,}" if unit.parameters else "-"
        lines.append([name, unit_words(unit, arch) if named else unit.kind, _shape(unit), *costs, parameters])
    return aligned(lines, words=3)


def _shape(unit: UnitCost) -> str:
    """``"24 x 64x32"``: channels and the map's height and width."""
    channels, *size = unit.shape or ("",)
    return f"{channels} x {size[0]}x{size[1]}" if size else str(channels)


def draw(rows: Sequence[Described], out: Path) -> list[Path]:
    """Draws each arch as a picture in ``out``; other networks have none."""
    return [
        draw_architecture(row.spec.backbone, out / (re.sub(r"[/\\]", "-", row.spec.name) + ".png"), row.spec.name)
        for row in rows
        if isinstance(row.spec.backbone, Arch)
    ]


def describe_space(space: Space, seed: int) -> str:
    """The number of archs of the space, every choice, and the costs of its archs."""
    table, random = CostTable(), Random(seed)
    costs = [table.cost(decode(space, sample(space, random))) for _ in range(DRAWN)]
    low, high = flops_range(space, table)
    lines = [describe(space), "", aligned(_choices(space), words=2), ""]
    lines.append(f"{'FLOPs':<12}{format_flops(low)} (smallest arch) to {format_flops(high)} (largest)")
    lines.append(f"{'FLOPs':<12}{_usual([cost.flops for cost in costs], format_flops)}")
    lines.append(f"{'parameters':<12}{_usual([cost.parameters for cost in costs], _millions)}")
    return "\n".join(lines)


def _usual(values: Sequence[int], words: Callable[[float], str]) -> str:
    cuts = statistics.quantiles(values, n=20)
    five, half, most = (words(cuts[place]) for place in (0, 9, 18))
    return f"half of {DRAWN:,} random archs have at most {half}, 90 % have {five} to {most}"


def _millions(parameters: float) -> str:
    return f"{parameters / 1e6:.2f}M"


def _choices(space: Space) -> list[list[str]]:
    """Dimensions and their options; blocks of a stage with the same options share a line."""
    lines: dict[tuple, list[str]] = {}
    for name, options in space.dimensions().items():
        place, _, choice = name.rpartition(".")
        stage, _, block = place.partition(".")
        lines.setdefault((stage, choice, options, bool(block)), []).append(block)
    told = [["choice", "options"]]
    for (stage, choice, options, _), blocks in lines.items():
        where = f"stage {stage[1:]}, " if stage else ""
        each = ", each block" if blocks[0] else ""
        told.append([f"{where}{choice.replace('_', ' ')}{each}", ", ".join(map(option_word, options))])
    return told

"""A row's random archs, with the FLOPs of a given arch and within the limits of the search they belong to."""

from __future__ import annotations

from pathlib import Path

from search.config import limits_of
from search.costs import CostTable
from search.gain.sampling import random_archs
from search.ranking.sampling import Band, find_band
from supernet.arch import Arch
from supernet.files import NamedArch, load_arch, load_space
from tools.jobs.latency.searched import searched_latency
from tools.jobs.proofs.contenders import WITHIN
from tools.jobs.results.plan.file import find
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.plan.steps import SEARCH, Step

_ELSE = "draw its random archs where it was searched, or search again"


def draw(setup: Setup, step: Step, like: Arch) -> NamedArch:
    """The random arch of this row's number; all of the row's archs are drawn together, with FLOPs like ``like``'s.

    If latency is limited, the draw depends on the search's latency table, which other machines do not have and which
    later measurements change. An arch that was already drawn is then kept.

    Raises:
        UserError: too few archs fit, or latency is limited and the search's table is not available.
    """
    random = step.part.row.random
    part = None if random.search is None else find(setup.plan.searches, random.search, "row")
    experiment = setup.experiment(step if part is None else Step("", SEARCH, part))
    space = load_space(experiment.space).at(experiment.input_size)
    size, table = experiment.search.cost_input_size, CostTable()
    # If the space has several sizes, the arch's own is one of them; a named network may have a size outside the space.
    own = like if like.input_size in space.input_sizes else like.at(space.input_size)
    band = find_band(space, table.flops(own.at(size)), WITHIN, size, table)
    avoid = {like.at(None if space.smaller_sizes else space.input_size)}
    limits = None if part is None else limits_of(experiment.search)
    latency = None
    if limits is not None and limits.latency_ms is not None:
        kept = _kept(setup, step, band, size, table)
        if kept is not None and kept.arch not in avoid:
            return kept
        run, target = setup.places.run(Step("", SEARCH, part)), experiment.search.target
        latency = searched_latency(run, target, space.at(size), table, f"search {part.name}", _ELSE)
    archs = random_archs(space, band, random.count, random.seed, size, table, avoid, limits, latency)
    return archs[step.part.number]


def _kept(setup: Setup, step: Step, band: Band, size: tuple[int, int] | None, table: CostTable) -> NamedArch | None:
    """The arch in the row's file; ``None`` if there is no file, the row has a change, or the FLOPs do not match (the
    search now has another best arch)."""
    path: Path = setup.places.arch(step.part)
    if step.part.row.change is not None or not path.exists():
        return None
    named = load_arch(path)
    return named if band.low <= table.flops(named.arch.at(size)) <= band.high else None

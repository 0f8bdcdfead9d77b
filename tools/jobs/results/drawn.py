"""A row's random archs: of the FLOPs of another one, and within the limits of the search that it comes from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reid.errors import UserError
from reid.files import expecting
from search.config import SearchConfig, limits_of
from search.cost import CostTable
from search.gain.sampling import random_archs
from search.latency import build_table, parse_target
from search.latency.store import open_store, store_path
from search.outcome import SUMMARY
from search.ranking.sampling import Band, find_band
from search.summary import CURE, read_summary
from supernet.arch import Arch
from supernet.files import NamedArch, load_arch, load_space
from supernet.space import Space
from tools.jobs.latency.job import latency_folder
from tools.jobs.paths import shown
from tools.jobs.proofs.contenders import WITHIN
from tools.jobs.provenance import sha256
from tools.jobs.results.parts import SearchPart
from tools.jobs.results.plan import find
from tools.jobs.results.setup import Setup
from tools.jobs.results.steps import SEARCH, Step


def draw(setup: Setup, step: Step, like: Arch) -> NamedArch:
    """The row's own of its random archs, which are drawn together, like the arch ``like``.

    Where latency is limited the draw is one of the table that the search went by, which another machine does not have
    and a later measurement changes: what was drawn before is kept there.

    Raises:
        UserError: there are not as many, or latency is limited and the search's table is not at hand.
    """
    random = step.part.row.random
    part = None if random.search is None else find(setup.plan.searches, random.search, "row")
    experiment = setup.experiment(step if part is None else Step("", SEARCH, part))
    space = load_space(experiment.space).at(experiment.input_size)
    size, table = experiment.search.cost_input_size, CostTable()
    band = find_band(space, table.flops(like.at(size or space.input_size)), WITHIN, size, table)
    avoid = {like.at(None if space.smaller_sizes else space.input_size)}
    limits = None if part is None else limits_of(experiment.search)
    latency = None
    if limits is not None and limits.latency_ms is not None:
        kept = _kept(setup, step, band, size, table)
        if kept is not None and kept.arch not in avoid:
            return kept
        latency = _predictions(setup, part, experiment.search, space.at(size), table)
    archs = random_archs(space, band, random.count, random.seed, size, table, avoid, limits, latency)
    return archs[step.part.number]


def _kept(setup: Setup, step: Step, band: Band, size: tuple[int, int] | None, table: CostTable) -> NamedArch | None:
    """The arch in the row's file; ``None`` where there is none, or not of these FLOPs: the search's best is another one
    by now."""
    path: Path = setup.places.arch(step.part)
    if step.part.row.change is not None or not path.exists():
        return None
    named = load_arch(path)
    return named if band.low <= table.flops(named.arch.at(size)) <= band.high else None


def _predictions(
    setup: Setup, part: SearchPart, search: SearchConfig, space: Space, costs: CostTable
) -> Callable[[Arch], float]:
    """Predicted ms by the very table that the search went by; nothing is measured."""
    target, folder = parse_target(search.target), latency_folder()
    path = store_path(folder, space, target)
    run = setup.places.run(Step("", SEARCH, part))
    summary = read_summary(run)
    with expecting(run / SUMMARY, CURE):
        digest = summary["run_origin"]["latency_table_sha256"]
    same = path.is_file() and sha256(path) == digest
    if not same or open_store(path, target).note:  # which says that it is of another machine
        raise UserError(
            f"search {part.name} went by a latency table that is no longer in {shown(path)}, or is of another machine: "
            "draw its random archs where it was searched, or search again"
        )
    return build_table(space, target, folder, costs=costs, progress=False).latency

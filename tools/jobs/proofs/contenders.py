"""The networks compared to measure a search's gain: found archs, random archs of the same FLOPs, and baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reid.errors import UserError
from search.costs import CostTable
from search.flops_words import format_flops
from search.folder import SUMMARY, chosen_files
from search.gain.analysis import BASELINE, FOUND, RANDOM
from search.gain.sampling import random_archs
from search.ranking.sampling import Band, find_band
from supernet.arch import Arch
from supernet.catalog import Backbone, find_network
from supernet.files import NamedArch, known_archs, load_arch, save_arch
from supernet.space import Space
from supernet.space.genome import encode
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.proofs.given_archs import arch_files, given_archs
from tools.jobs.proofs.rival_limits import RivalLimits

WITHIN = 0.05
"""Largest difference between a random arch's FLOPs and the found one's, as a fraction of the latter."""

NEAR = 0.1
"""The same for archs supplied by the user."""

ARCHS = "archs"


@dataclass(frozen=True)
class Contender:
    """A network to train.

    Attributes:
        name: unique among the contenders.
        kind: ``FOUND``, ``RANDOM`` or ``BASELINE``.
        backbone: at its training input size.
        file: by which ``retrain`` finds it: an arch file, or a backbone's name.
        drawn: for a random arch, the contents to write into ``file``.
    """

    name: str
    kind: str
    backbone: Arch | Backbone
    file: Path
    drawn: NamedArch | None = None


def own_files(search: Path, count: int, names: Sequence[str], paths: Sequence[Path]) -> list[Path]:
    """Arch files of the first ``count`` archs of a search, of the baselines that have one, and in ``paths``.

    Nothing is checked: files that do not exist are left out.
    """
    best = chosen_files(search)[: max(count, 0)] if (search / SUMMARY).is_file() else ()
    known = known_archs()
    named = (Path(name) if name.endswith((".yaml", ".yml")) else known.get(name.lower()) for name in names)
    return [file for file in (*best, *named, *arch_files(paths)) if file is not None and file.is_file()]


def found_archs(search: Path, count: int, space: Space, job: Job) -> list[Contender]:
    """The first ``count`` archs that a finished search chose, best first.

    Raises:
        UserError: the search is missing or unfinished, chose fewer archs, or used another space than the config's.
    """
    best = chosen_files(search) if (search / SUMMARY).is_file() else ()
    if not best:
        raise UserError(
            f"there is no finished search in {shown(search)}; run python tools/search.py first, or name a search's "
            "folder with --search"
        )
    if not 1 <= count <= len(best):
        raise UserError(f"--archs {count}: the search in {shown(search)} chose {len(best)}; give 1 to {len(best)}")
    contenders = []
    for file in best[:count]:
        contender = _named(str(file), FOUND, space, job)
        try:
            encode(space, contender.backbone)
            _check_size(load_arch(file), space)
        except UserError as error:
            raise UserError(f"{contender.file}: {error}; give the config that the search ran with") from None
        contenders.append(contender)
    return contenders


def _check_size(found: NamedArch, space: Space) -> None:
    """Raises UserError if the supernet scored a found arch at another input size than the space's current one."""
    size = found.origin.get("input_size")
    if size is not None and list(size) != list(space.input_size):
        then, now = ("{}x{}".format(*each) for each in (size, space.input_size))
        raise UserError(f"its supernet scored it at {then}, but here space {space.name} has {now}")


def baselines(names: Sequence[str], space: Space, job: Job) -> list[Contender]:
    """The networks called ``names``; raises UserError if one is unknown or two are the same."""
    contenders = [_named(name, BASELINE, space, job) for name in names]
    twice = next((each for each in contenders if sum(each.name == other.name for other in contenders) > 1), None)
    if twice is not None:
        raise UserError(f"--baselines: {twice.name} is named twice; give each network once")
    return contenders


def _named(name: str, kind: str, space: Space, job: Job) -> Contender:
    experiment = job.experiment
    spec, path = find_network(name, [], experiment.input_size, space.input_size, experiment.last_stride)
    return Contender(spec.name, kind, spec.backbone, path or Path(name))


def random_rivals(
    found: Sequence[Contender], count: int, space: Space, job: Job, within: RivalLimits
) -> tuple[list[Contender], Band]:
    """``count`` random archs with about the FLOPs of the best found one, ``within`` the search's other limits and
    different from all found ones; also the band of FLOPs that they are from. Writes nothing; see ``save_drawn``.

    Raises:
        UserError: the found archs' FLOPs lie further apart than the band allows, or there are too few such archs.
    """
    size, table = job.experiment.search.cost_input_size, CostTable()
    centre, *others = (table.flops(each.backbone.at(size)) for each in found)
    band = find_band(space, centre, WITHIN, size, table)
    for contender, flops in zip(found[1:], others, strict=True):
        if not band.low <= flops <= band.high:
            raise UserError(
                f"--archs {len(found)}: {contender.name} has {format_flops(flops)} FLOPs and {found[0].name} "
                f"{format_flops(centre)}, which is too far apart for rivals of both; give --archs "
                f"{found.index(contender)}"
            )
    avoid = {each.backbone.at(None if space.smaller_sizes else space.input_size) for each in found}
    drawn = random_archs(space, band, count, job.seed, size, table, avoid, within.limits, within.latency)
    folder = job.out / ARCHS
    return [Contender(each.name, RANDOM, each.arch, folder / f"{each.name}.yaml", each) for each in drawn], band


def given_rivals(
    paths: Sequence[Path], found: Sequence[Contender], space: Space, job: Job
) -> tuple[list[Contender], Band]:
    """Random archs drawn earlier, from their files, and the band of FLOPs that they span.

    Raises:
        UserError: one is not in the space, is a found arch, or differs too much in FLOPs from the best found one.
    """
    size, table = job.experiment.search.cost_input_size, CostTable()
    centre = table.flops(found[0].backbone.at(size))
    given = given_archs("--random-archs", paths, space)
    costs = [table.flops(named.arch.at(size)) for named, _ in given]
    taken = {each.backbone.at(None if space.smaller_sizes else space.input_size): each.name for each in found}
    for (named, file), flops in zip(given, costs, strict=True):
        if named.arch in taken:
            raise UserError(
                f"--random-archs {file}: is the same network as the found arch {taken[named.arch]}; leave it out"
            )
        if abs(flops - centre) > NEAR * centre:
            raise UserError(
                f"--random-archs {file}: has {format_flops(flops)} FLOPs and {found[0].name} {format_flops(centre)}; "
                f"give archs within {NEAR:.0%} of it"
            )
    if not given:
        raise UserError(
            f"--random-archs: there is no arch file in {', '.join(map(shown, paths))}; name arch files, or folders of "
            "them"
        )
    return [Contender(named.name, RANDOM, named.arch, file) for named, file in given], Band(min(costs), max(costs), "")


def save_drawn(contenders: Sequence[Contender]) -> None:
    """Writes the arch files of random archs."""
    for contender in contenders:
        if contender.drawn is not None:
            save_arch(contender.file, contender.drawn)

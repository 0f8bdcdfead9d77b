"""A plan's file, read and checked, and the rows that it defines."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from reid.config import build_config, read_merged
from reid.errors import UserError, nearest
from tools.jobs.experiment import CONFIGS
from tools.jobs.results.plan.parts import Plan, RankingPart, SearchPart, SupernetPart
from tools.jobs.results.plan.row_parts import ArchChange, Inherit, Lever, Row


@dataclass(frozen=True)
class PlannedRow:
    """A line of a table: a row, one of a row's random archs (``number``, from 0), or a lever of the ladder."""

    name: str
    row: Row
    number: int = 0
    lever: bool = False


def in_terminal(name: str, *, lever: bool) -> str:
    """A row's name in the terminal's table, which also lists the ladder's levers."""
    return f"{name} (ladder)" if lever else name


def find_plan(given: Path, folder: Path = CONFIGS / "results") -> Path:
    """The plan file ``given``, or the one in ``folder`` with that name; raises UserError for an unknown name."""
    if given.exists() or given.suffix in (".yaml", ".yml") or len(given.parts) > 1:
        return given
    known = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    if given.name not in known:
        raise UserError(f"no plan is called '{given}'{nearest(given.name, known) or '; known: ' + ', '.join(known)}")
    return known[given.name]


def load_plan(path: Path) -> Plan:
    """The plan in a YAML file; searches that limit latency without a target get the plan's target.

    Raises:
        UserError: the file is unreadable, a key is unknown, a name occurs twice, or a step needs one that does not
            exist.
    """
    if not path.is_file():
        raise UserError(f"--plan {path}: there is no such file; name one, or a plan of configs/results")
    data = read_merged(path)
    for place, kind, parts in _lists(data):
        for number, part in enumerate(parts, start=1):
            if isinstance(part, Mapping):  # so that an error names the part
                build_config(kind, part, f"{path}: {place}: {part.get('name', f'number {number}')}")
    plan = build_config(Plan, data, str(path))
    try:
        _check(plan)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return dataclasses.replace(plan, searches=tuple(_with_target(part, plan) for part in plan.searches))


def _with_target(part: SearchPart, plan: Plan) -> SearchPart:
    return part if part.latency is None else dataclasses.replace(part, target=part.target or plan.target)


def _lists(data: Mapping) -> Iterator[tuple[str, type, list]]:
    """Every list of parts in a plan's file: its place, the type of its parts, and the parts."""
    kinds = {"supernets": SupernetPart, "searches": SearchPart, "rows": Row, "rankings": RankingPart}
    for place, kind in kinds.items():
        if isinstance(data.get(place), list):
            yield place, kind, data[place]
    ladder = data.get("ladder")
    if isinstance(ladder, Mapping) and isinstance(ladder.get("levers"), list):
        yield "ladder.levers", Lever, ladder["levers"]


def planned_rows(plan: Plan) -> tuple[PlannedRow, ...]:
    """All lines of the plan's tables, in order: the rows, then the ladder's levers."""
    rows = [planned for row in plan.rows for planned in _expanded(row)]
    return (*rows, *(PlannedRow(row.name, row, lever=True) for row in _levers(plan)))


def _expanded(row: Row) -> Iterator[PlannedRow]:
    if row.random is None:
        yield PlannedRow(row.name, row)
        return
    for number in range(row.random.count):
        yield PlannedRow(f"{row.name} {number + 1}" if row.random.count > 1 else row.name, row, number)


def _levers(plan: Plan) -> Iterator[Row]:
    if plan.ladder is None:
        return
    base = find(plan.rows, plan.ladder.row, "ladder: row")
    for lever in plan.ladder.levers:
        inherit = base.inherit and Inherit(lever.epochs or base.inherit.epochs)
        yield dataclasses.replace(
            base,
            name=lever.name,
            recipe=lever.recipe or base.recipe,
            epochs=None if inherit else lever.epochs or base.epochs,
            inherit=inherit,
            batch=lever.batch or base.batch,
            set=(*base.set, *lever.set),
            change=_changes(base.change, lever.change),
            teacher=lever.teacher or base.teacher,
            seeds=lever.seeds or base.seeds,
            published=None,
        )


def _changes(base: ArchChange | None, lever: ArchChange | None) -> ArchChange | None:
    if base is None or lever is None:
        return lever or base
    given = {field.name: getattr(lever, field.name) for field in dataclasses.fields(lever)}
    return dataclasses.replace(base, **{name: value for name, value in given.items() if value is not None})


def find(parts: Iterable, name: str, where: str):
    """The part called ``name``; raises a UserError that begins with ``where`` if there is none."""
    parts = list(parts)
    found = next((part for part in parts if part.name == name), None)
    if found is None:
        names = [part.name for part in parts]
        raise UserError(f"{where}: the plan has no {name}{nearest(name, names) or '; it has ' + ', '.join(names)}")
    return found


def supernet_of(plan: Plan, row: Row) -> SupernetPart | None:
    """The supernet whose weights the row's training starts from; ``None`` if it is trained from scratch."""
    if row.inherit is None:
        return None
    return find(plan.supernets, find(plan.searches, row.search, row.name).supernet, row.name)


def slug(name: str) -> str:
    """``name`` in a form that is safe as a file name."""
    return re.sub(r"[^A-Za-z0-9._+]+", "-", name).strip("-.") or "-"


def _check(plan: Plan) -> None:
    """Raises UserError if names clash, refer to nothing or to unsuitable parts, or if there is nothing to do."""
    if not (plan.supernets or plan.rows):
        raise UserError("the plan has neither supernets nor rows, so there is nothing to do; add some")
    if plan.ladder is not None:
        base = find(plan.rows, plan.ladder.row, "ladder: row")
        if base.random is not None and base.random.count > 1:
            raise UserError(f"ladder: row {base.name} is several random archs; name a row of one network")
    rows = planned_rows(plan)
    for name in plan.ladder.also if plan.ladder is not None else ():  # each is one line of the ladder
        find((planned for planned in rows if not planned.lever), name, "ladder: also")
    kinds = {"supernets": plan.supernets, "searches": plan.searches, "rows": rows, "rankings": plan.rankings}
    for kind, parts in kinds.items():
        names = [slug(part.name).lower() for part in parts]
        twice = next((part.name for part, name in zip(parts, names, strict=True) if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f"{kind}: two are called {twice}, or get the same file name; give each its own name")
    for part in (*plan.searches, *plan.rankings):
        find(plan.supernets, part.supernet, f"{part.name}: supernet")
    for part in plan.supernets:
        if part.teacher is not None:
            teacher = find(rows, part.teacher, f"supernet {part.name}: teacher").row
            if teacher.network is None or teacher.teacher is not None:
                raise UserError(
                    f"supernet {part.name}: its teacher {part.teacher} must be a row of a network given by name, "
                    "without a teacher of its own"
                )
    for part in plan.searches:
        for name in part.beside:
            find(plan.supernets, name, f"{part.name}: beside")
        if part.learn_from is not None:
            find(plan.rankings, part.learn_from, f"search {part.name}: learn_from")
    for planned in rows:
        row = planned.row
        if row.search is not None:
            find(plan.searches, row.search, f"row {planned.name}: search")
        if row.inherit is not None and row.change is not None:
            raise UserError(
                f"row {planned.name}: a supernet has no weights for what change adds; leave out change or inherit"
            )
        if row.teacher is not None:
            teacher = find(rows, row.teacher, f"row {planned.name}: teacher")
            if teacher.row.teacher is not None:
                raise UserError(f"row {planned.name}: its teacher {row.teacher} itself has a teacher; name one without")

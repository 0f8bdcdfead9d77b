"""The steps of a plan in the order of execution, with their dependencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from reid.errors import UserError, nearest
from tools.jobs.results.plan.file import PlannedRow, find, in_terminal, planned_rows, slug
from tools.jobs.results.plan.parts import Plan, RankingPart, SearchPart, SupernetPart

SUPERNET, SEARCH, ROW, RANKING, LATENCY = "supernet", "search", "row", "ranking", "latency"


@dataclass(frozen=True)
class LatencyPart:
    """The target of the latency step."""

    target: str
    name: str = LATENCY


Part = SupernetPart | SearchPart | PlannedRow | RankingPart | LatencyPart | None


@dataclass(frozen=True)
class Step:
    """A task that runs to its end, in one or several slices of time.

    Attributes:
        name: unique: ``supernet/<name>``, ``search/<name>``, ``row/<name>/<seed>``, ``ranking/<name>`` or ``latency``.
        kind: the first word of the name.
        part: the part of the plan that the step carries out.
        seed: of a row's training.
        needs: names of the steps that must be finished before it.
    """

    name: str
    kind: str
    part: Part = None
    seed: int = 0
    needs: tuple[str, ...] = ()

    @property
    def alone(self) -> bool:
        """Whether nothing may run at the same time: other work would distort what it measures."""
        return self.kind == LATENCY


def plan_steps(plan: Plan) -> tuple[Step, ...]:
    """All steps: rows with their first seed in the plan's order, then with their second, and so on, each preceded by
    what it needs. Then supernets and searches that no row needs, then rankings, then latency."""
    ordered: dict[str, Step] = {}

    def take(step: Step) -> str:
        if step.name not in ordered:
            ordered[step.name] = step
        return step.name

    def supernet(name: str) -> str:
        part = find(plan.supernets, name, SEARCH)
        needs = () if part.teacher is None else (taught_by(part.teacher, name),)
        return take(Step(f"{SUPERNET}/{name}", SUPERNET, part, needs=needs))

    def search(name: str) -> str:
        part = find(plan.searches, name, ROW)
        needs = [supernet(each) for each in (part.supernet, *part.beside)]
        if part.learn_from is not None:
            needs.append(ranking(find(plan.rankings, part.learn_from, SEARCH)))
        return take(Step(f"{SEARCH}/{name}", SEARCH, part, needs=tuple(needs)))

    def ranking(part: RankingPart) -> str:
        return take(Step(f"{RANKING}/{part.name}", RANKING, part, needs=(supernet(part.supernet),)))

    def row(planned: PlannedRow, seed: int) -> str:
        needs = [] if planned.row.search is None else [search(planned.row.search)]
        if planned.row.teacher is not None:
            needs.append(taught_by(planned.row.teacher, planned.name))
        return take(Step(row_name(planned.name, seed), ROW, planned, seed, tuple(needs)))

    def taught_by(name: str, whom: str) -> str:
        teacher = find(rows, name, whom)
        return row(teacher, teacher.row.seeds[0])

    rows = planned_rows(plan)
    for turn in count():
        wanted = [(planned, planned.row.seeds[turn]) for planned in rows if turn < len(planned.row.seeds)]
        if not wanted:
            break
        for planned, seed in wanted:
            row(planned, seed)
    for part in plan.supernets:
        supernet(part.name)
    for part in plan.searches:
        search(part.name)
    for part in plan.rankings:
        ranking(part)
    if plan.target is not None:
        take(Step(LATENCY, LATENCY, LatencyPart(plan.target)))
    return tuple(ordered.values())


def row_name(name: str, seed: int) -> str:
    """The name of a row's step."""
    return f"{ROW}/{name}/{seed}"


def select(steps: Sequence[Step], names: Sequence[str]) -> tuple[Step, ...]:
    """The steps that ``names`` select and everything they need, in the order of ``steps``; all if there are no names.

    A name is a step's full name or its beginning up to a ``/``; failing that, the name in the plan or in the terminal's
    table. So ``latency`` selects the latency step, and ``row/latency`` a row with that name.

    Raises:
        UserError: no step has such a name.
    """
    if not names:
        return tuple(steps)
    wanted: set[str] = set()
    for name in names:
        own = [step for step in steps if name == step.name or step.name.startswith(f"{name}/")]
        own = own or [step for step in steps if name in _names(step)]
        if not own:
            known = dict.fromkeys(each for step in steps for each in (step.name, _called(step)))
            raise UserError(f"--only {name}: the plan has no such step{nearest(name, known)}; --status lists them")
        wanted |= {step.name for step in own}
    by_name = {step.name: step for step in steps}
    open_names = list(wanted)
    while open_names:
        needed = set(by_name[open_names.pop()].needs) - wanted
        wanted |= needed
        open_names += needed
    return tuple(step for step in steps if step.name in wanted)


def _called(step: Step) -> str:
    """A step's name in the plan."""
    return step.name if step.part is None else step.part.name


def _names(step: Step) -> tuple[str, ...]:
    """The names of a step in the plan and, for a row, in the terminal's table. There, random archs that share one name
    in the plan have a name each."""
    if not isinstance(step.part, PlannedRow):
        return (_called(step),)
    return step.part.row.name, _called(step), in_terminal(_called(step), lever=step.part.lever)


@dataclass(frozen=True)
class Places:
    """The paths of an experiment's files, below ``out``."""

    out: Path

    def record(self, step: Step) -> Path:
        """The step's settings, state and log."""
        return self.out / "steps" / slug(step.name)

    def run(self, step: Step) -> Path:
        """The run folder that the step's tool writes."""
        name = slug(_called(step))
        if step.kind == ROW:
            return self.row_run(step.part.name, step.seed)
        folder = {SUPERNET: "supernets", SEARCH: "searches", RANKING: "rankings", LATENCY: ""}[step.kind]
        return self.out / folder / name

    def row_run(self, name: str, seed: int) -> Path:
        """Run folder of a row's training."""
        return self.out / "rows" / f"{slug(name)}-s{seed}"

    def flip(self, step: Step) -> Path:
        """The folder of a row's evaluation with the flip test."""
        return self.out / "flip" / f"{slug(step.part.name)}-s{step.seed}"

    def arch(self, planned: PlannedRow) -> Path:
        """The arch file of a row whose network is found, drawn or changed."""
        return self.out / "archs" / f"{slug(planned.name)}.yaml"

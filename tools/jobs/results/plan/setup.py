"""A plan with the command's options, and the experiment of each step: what its tool reads from config and options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.jobs.experiment import Experiment, load_experiment
from tools.jobs.paths import shown
from tools.jobs.results.plan.file import PlannedRow, find, planned_rows, supernet_of
from tools.jobs.results.plan.parts import Plan, SearchPart, SupernetPart
from tools.jobs.results.plan.steps import RANKING, ROW, SEARCH, SUPERNET, Places, Step
from tools.jobs.search.options import searched_by

TEACHER = "losses.distillation.teacher"


@dataclass(frozen=True)
class Setup:
    """Settings common to all steps.

    Attributes:
        plan, file: the plan and the file it was read from.
        places: the paths of all outputs.
        data: folder of the data set, for the tools' ``--data``.
        device: for the tools' ``--device``.
    """

    plan: Plan
    file: Path
    places: Places
    data: Path | None = None
    device: str = "auto"

    @property
    def config(self) -> Path:
        """The experiment file."""
        return self.file.parent / self.plan.config

    def experiment(self, step: Step) -> Experiment:
        """The experiment that the step's tool reads; raises UserError if an override, option or recipe is wrong."""
        training = self.training(step.part) if step.kind == ROW else {}
        experiment = load_experiment(self.config, self.overrides(step), **training)
        if step.kind != SEARCH:
            return experiment
        options = self.searching(step.part)
        return searched_by(experiment, parameters=options.pop("params", None), **options)

    def searching(self, part: SearchPart) -> dict[str, str | int | float]:
        """The options of ``tools/search.py`` for the limits, the target and the number of finalists."""
        names = ("flops", "latency", "params", "target", "finalists")
        return {name: value for name in names if (value := getattr(part, name)) is not None}

    def training(self, planned: PlannedRow) -> dict[str, str | int]:
        """The options of ``tools/retrain.py`` for a row's recipe, epochs and batches; those left out come from the
        config or the recipe."""
        row = planned.row
        options = {
            "recipe": row.recipe or self.plan.recipe,
            "epochs": row.inherit.epochs if row.inherit else row.epochs or self.plan.epochs,
            "batch": row.batch,
        }
        return {name: value for name, value in options.items() if value is not None}

    def overrides(self, step: Step) -> list[str]:
        """The step's ``--set`` options."""
        part = step.part
        if step.kind == SUPERNET:
            own = self._supernet(part)
        elif step.kind in (SEARCH, RANKING):
            own = (*self._supernet(find(self.plan.supernets, part.supernet, step.name)), *part.set)
        elif step.kind == ROW:
            own = (*self._inherited(part), *part.row.set, *self._teacher(part))
        else:
            own = ()
        return [*self.plan.set, *own]

    def _inherited(self, planned: PlannedRow) -> tuple[str, ...]:
        """Overrides for the supernet's space and for how the search calibrates extracted networks."""
        supernet = supernet_of(self.plan, planned.row)
        if supernet is None:
            return ()
        return (*self._supernet(supernet), *find(self.plan.searches, planned.row.search, "row").set)

    def _supernet(self, part: SupernetPart) -> tuple[str, ...]:
        run = self.teacher_run(part.teacher)
        return part.set if run is None else (*part.set, f"supernet.recipe.{TEACHER}={shown(run)}")

    def teacher_run(self, name: str | None) -> Path | None:
        """Run folder of the teacher, the row ``name``; ``None`` if ``name`` is ``None``."""
        if name is None:
            return None
        teacher = find(planned_rows(self.plan), name, "teacher")
        return self.places.row_run(teacher.name, teacher.row.seeds[0])

    def _teacher(self, planned: PlannedRow) -> tuple[str, ...]:
        run = self.teacher_run(planned.row.teacher)
        return () if run is None else (f"retrain.{TEACHER}={shown(run)}",)

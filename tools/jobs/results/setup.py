"""A plan with the options of the command, and each step's experiment: what its tool reads from config and options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.jobs.experiment import Experiment, load_experiment
from tools.jobs.opening import shown
from tools.jobs.results.parts import Plan
from tools.jobs.results.plan import PlannedRow, find, planned_rows
from tools.jobs.results.steps import RANKING, ROW, SEARCH, SUPERNET, Places, Step

TEACHER = "retrain.losses.distillation.teacher"


@dataclass(frozen=True)
class Setup:
    """What all steps have in common.

    Attributes:
        plan, file: the plan, and where it was read from.
        places: where everything goes.
        data: folder of the data set, for tools' ``--data``.
        device: for tools' ``--device``.
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
        """What the step's tool reads; raises UserError where an override or the recipe is wrong."""
        training = self.training(step.part) if step.kind == ROW else {}
        return load_experiment(self.config, self.overrides(step), **training)

    def training(self, planned: PlannedRow) -> dict[str, str | int]:
        """The options of ``tools/retrain.py`` that say by which recipe, how long and in what batches a row is trained;
        what is not given is the config's, or the recipe's."""
        row = planned.row
        options = {
            "recipe": row.recipe or self.plan.recipe,
            "epochs": row.epochs or self.plan.epochs,
            "batch": row.batch,
        }
        return {name: value for name, value in options.items() if value is not None}

    def overrides(self, step: Step) -> list[str]:
        """The step's ``--set`` options."""
        part = step.part
        if step.kind == SUPERNET:
            own = part.set
        elif step.kind in (SEARCH, RANKING):
            own = (*find(self.plan.supernets, part.supernet, step.name).set, *part.set)
        elif step.kind == ROW:
            own = (*part.row.set, *self._teacher(part))
        else:
            own = ()
        return [*self.plan.set, *own]

    def _teacher(self, planned: PlannedRow) -> tuple[str, ...]:
        if planned.row.teacher is None:
            return ()
        teacher = find(planned_rows(self.plan), planned.row.teacher, planned.name)
        return (f"{TEACHER}={shown(self.places.row_run(teacher.name, teacher.row.seeds[0]))}",)

"""An NNI execution engine for several processes; a search in one uses NNI's own ``SequentialExecutionEngine``."""

from __future__ import annotations

import time
from collections.abc import Iterable

from nni.nas.execution import ExecutionEngine
from nni.nas.execution.event import FinalMetricEvent, TrainingEndEvent
from nni.nas.space import ExecutableModelSpace, ModelStatus

from search.nni_bridge.space import ArchSpace
from search.workers import Team


class TeamEngine(ExecutionEngine):
    """Evaluates models in rounds of one for each process of a team, and reports them in the order of submission.

    Args:
        team: the processes; this is the first of them.
        max_duration: seconds of evaluation after which the budget is spent; ``None`` for no end.
    """

    def __init__(self, team: Team, max_duration: float | None = None) -> None:
        super().__init__()
        self._team, self._max_duration = team, max_duration
        self._duration = 0.0
        self._history: list[ArchSpace] = []

    def submit_models(self, *models: ArchSpace) -> None:
        """Evaluates ``models``; an exception from an evaluation, in any process, is raised once the models before it
        have been reported."""
        for start in range(0, len(models), self._team.size):
            self._run(models[start : start + self._team.size])

    def _run(self, models: tuple[ArchSpace, ...]) -> None:
        start = time.monotonic()
        self._history += models
        for model in models:
            model.status = ModelStatus.Training
        archs = [model.executable_model() for model in models]
        outcomes = self._team.evaluate(archs, models[0].evaluator.function)
        self._duration += time.monotonic() - start
        broken = next((each for each in outcomes if isinstance(each, Exception)), None)
        failed = False
        for model, outcome in zip(models, outcomes, strict=True):
            failed = failed or isinstance(outcome, Exception)
            if not failed:
                self.dispatch_model_event(FinalMetricEvent(model, outcome))
            self.dispatch_model_event(TrainingEndEvent(model, ModelStatus.Failed if failed else ModelStatus.Trained))
        if broken is not None:
            raise broken

    def list_models(self, status: ModelStatus | None = None) -> Iterable[ExecutableModelSpace]:
        return [model for model in self._history if status is None or model.status == status]

    def idle_worker_available(self) -> bool:
        """All are idle: ``submit_models`` returns when its models are done."""
        return True

    def budget_available(self) -> bool:
        return self._max_duration is None or self._duration < self._max_duration

    def shutdown(self) -> None:
        self._team.dismiss()

"""The search as an NNI strategy, for any NNI execution engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nni.nas.execution import ExecutionEngine
from nni.nas.execution.event import FinalMetricEvent, ModelEventType, TrainingEndEvent
from nni.nas.space import ExecutableModelSpace, ModelStatus
from nni.nas.strategy.base import Strategy

from reid.errors import UserError
from search.history import Candidate
from search.proposers.base import Proposal, Proposer


@dataclass
class _Running:
    proposal: Proposal
    metrics: dict = field(default_factory=dict)


class GenerationSearch(Strategy):
    """Submits the generations of a ``Proposer`` until the trials or the engine's budget are spent, or no new arch is
    left.

    Args:
        proposer: decides; every arch it proposes is within the limits.
        generation: candidates of a generation.
        trials: candidates in all, those of ``history`` included; ``None`` for no end but the engine's.
        workers: models that are submitted at a time, between looks at the engine's budget.
        history: candidates of an earlier part of the same search, from trial 0 on. Of a generation that it breaks off
            in, only the missing ones are evaluated.
        on_candidate: called with each new candidate, in the order of the trials.

    Attributes:
        exhausted: no further arch was found within the limits.

    Raises:
        UserError: by ``run``, where the open generation of ``history`` is not what the proposer proposes.
    """

    def __init__(
        self,
        proposer: Proposer,
        generation: int,
        trials: int | None = None,
        workers: int = 1,
        history: Sequence[Candidate] = (),
        on_candidate: Callable[[Candidate], None] = lambda candidate: None,
    ) -> None:
        super().__init__()
        self.exhausted = False
        self._proposer, self._on_candidate = proposer, on_candidate
        self._size, self._trials, self._workers = generation, trials, workers
        whole = len(history) - len(history) % generation
        for start in range(0, whole, generation):
            proposer.observe(history[start : start + generation])
        self._first, self._done = whole, list(history[whole:])
        self._running: dict[int, _Running] = {}

    def _initialize(self, model_space: ExecutableModelSpace, engine: ExecutionEngine) -> ExecutableModelSpace:
        engine.register_model_event_callback(ModelEventType.FinalMetric, self._on_metric)
        engine.register_model_event_callback(ModelEventType.TrainingEnd, self._on_end)
        return model_space

    def _cleanup(self) -> None:
        self.engine.unregister_model_event_callback(ModelEventType.FinalMetric, self._on_metric)
        self.engine.unregister_model_event_callback(ModelEventType.TrainingEnd, self._on_end)

    def _run(self) -> None:
        while not self.exhausted and (self._trials is None or self._first < self._trials):
            wanted = self._first + self._size
            trials = range(self._first, wanted if self._trials is None else min(wanted, self._trials))
            proposals = self._proposer.propose(trials)
            self._check_begun(proposals)
            for start in range(len(self._done), len(proposals), self._workers):
                if not self.wait_for_resource():
                    return
                self._submit(proposals[start : start + self._workers])
            self.exhausted = len(proposals) < len(trials)
            self._proposer.observe(self._done)
            self._first, self._done = wanted, []

    def _submit(self, proposals: Sequence[Proposal]) -> None:
        models = [self.model_space.freeze(proposal.genome) for proposal in proposals]
        self._running = {id(model): _Running(each) for model, each in zip(models, proposals, strict=True)}
        self.engine.submit_models(*models)
        self.engine.wait_models(*models)

    def _check_begun(self, proposals: Sequence[Proposal]) -> None:
        """Checks that the evaluated part of a generation is what is proposed for it now."""
        for candidate, proposal in zip(self._done, proposals, strict=False):
            if candidate.arch != proposal.arch:
                raise UserError(
                    f"trial {candidate.trial} of the search log is not the arch that these settings lead to: the log "
                    "was written by another version; search again into another folder"
                )

    def _on_metric(self, event: FinalMetricEvent) -> None:
        # NNI keeps only the metric's ``default``; the event has all of it.
        self._running[id(event.model)].metrics = dict(event.metric)

    def _on_end(self, event: TrainingEndEvent) -> None:
        run = self._running.pop(id(event.model))
        if event.status != ModelStatus.Trained:
            return  # interrupted or broken: the engine raises next, and a resumed search evaluates it again
        candidate = Candidate(
            trial=run.proposal.trial,
            origin=run.proposal.origin,
            flops=run.proposal.cost.flops,
            parameters=run.proposal.cost.parameters,
            score=_finite(run.metrics.get("default")),
            rank1=_finite(run.metrics.get("rank1")),
            seconds=round(run.metrics["seconds"], 6),
            genome=run.proposal.genome,
            arch=run.proposal.arch,
            latency_ms=run.proposal.cost.latency_ms,
        )
        self._done.append(candidate)
        self._on_candidate(candidate)


def _finite(value: float | None) -> float | None:
    """NNI counts a NaN as a success; here it is a failed evaluation."""
    return float(value) if value is not None and math.isfinite(value) else None

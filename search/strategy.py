"""The search as NNI strategies, for any NNI execution engine (in process: ``SequentialExecutionEngine``)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nni.nas.execution import ExecutionEngine
from nni.nas.execution.event import FinalMetricEvent, ModelEventType, TrainingEndEvent
from nni.nas.space import ExecutableModelSpace, ModelStatus
from nni.nas.strategy.base import Strategy

from search.config import SearchConfig
from search.history import Candidate
from search.proposal import EvolutionProposer, Proposal, Proposer
from search.region import Region


@dataclass
class _Running:
    proposal: Proposal
    started: float = field(default_factory=time.perf_counter)
    metrics: dict = field(default_factory=dict)


class ConstrainedSearch(Strategy):
    """Submits what a ``Proposer`` proposes until the engine's budget is spent or no new arch is left.

    Args:
        proposer: decides; every arch it proposes is within the limits.
        history: candidates of an earlier part of the same search; numbering and proposals go on after them.
        on_candidate: called with each new candidate when its evaluation has ended.
    """

    def __init__(
        self, proposer: Proposer, history: Sequence[Candidate], on_candidate: Callable[[Candidate], None]
    ) -> None:
        super().__init__()
        self.exhausted = False
        self._proposer, self._on_candidate = proposer, on_candidate
        self._next_trial = len(history)
        self._running: dict[int, _Running] = {}
        for candidate in history:
            proposer.observe(candidate)

    def _initialize(self, model_space: ExecutableModelSpace, engine: ExecutionEngine) -> ExecutableModelSpace:
        engine.register_model_event_callback(ModelEventType.FinalMetric, self._on_metric)
        engine.register_model_event_callback(ModelEventType.TrainingEnd, self._on_end)
        return model_space

    def _cleanup(self) -> None:
        self.engine.unregister_model_event_callback(ModelEventType.FinalMetric, self._on_metric)
        self.engine.unregister_model_event_callback(ModelEventType.TrainingEnd, self._on_end)

    def _run(self) -> None:
        while self.wait_for_resource():
            proposal = self._proposer.propose(self._next_trial)
            if proposal is None:
                self.exhausted = True
                break
            self._next_trial += 1
            model = self.model_space.freeze(proposal.genome)
            self._running[id(model)] = _Running(proposal)
            self.engine.submit_models(model)
        self.engine.wait_models()

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
            seconds=round(time.perf_counter() - run.started, 6),
            genome=run.proposal.genome,
            arch=run.proposal.arch,
        )
        self._proposer.observe(candidate)
        self._on_candidate(candidate)


def _finite(value: float | None) -> float | None:
    """NNI counts a NaN as a success; here it is a failed evaluation."""
    return float(value) if value is not None and math.isfinite(value) else None


class ConstrainedEvolution(ConstrainedSearch):
    """Regularised evolution with crossover inside a region; see ``EvolutionProposer``."""

    def __init__(
        self,
        region: Region,
        config: SearchConfig,
        seed: int,
        history: Sequence[Candidate] = (),
        on_candidate: Callable[[Candidate], None] = lambda candidate: None,
    ) -> None:
        super().__init__(EvolutionProposer(region, config, seed), history, on_candidate)


class RandomSearch(ConstrainedSearch):
    """Random archs spread evenly over the FLOPs: what evolution has to beat; see ``Proposer``."""

    def __init__(
        self,
        region: Region,
        config: SearchConfig,
        seed: int,
        history: Sequence[Candidate] = (),
        on_candidate: Callable[[Candidate], None] = lambda candidate: None,
    ) -> None:
        super().__init__(Proposer(region, config, seed), history, on_candidate)


STRATEGIES = {"evolution": ConstrainedEvolution, "random": RandomSearch}
"""Strategies by the name that ``--strategy`` takes."""

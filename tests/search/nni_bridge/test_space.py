"""The space as NNI's own strategies and engine see it."""

from __future__ import annotations

from random import Random

import pytest

from search.nni_bridge.space import ArchEvaluator, ArchSpace
from supernet.files import load_space
from supernet.space import decode
from supernet.space.genome import contains, sample


def test_frozen_model_is_the_decoded_arch():
    space = load_space("tiny")
    nni_space = ArchSpace(space, ArchEvaluator(lambda arch: {"default": 0.0}))
    for seed in range(20):
        genome = sample(space, Random(seed))
        assert nni_space.freeze(genome).executable_model() == decode(space, genome)


def test_options_outside_the_space_are_refused():
    from nni.mutable import SampleValidationError

    space = load_space("tiny")
    nni_space = ArchSpace(space, ArchEvaluator(lambda arch: {"default": 0.0}))
    genome = sample(space, Random(0))
    with pytest.raises(SampleValidationError):
        nni_space.freeze({**genome, "stem": 9})
    with pytest.raises(SampleValidationError):
        nni_space.freeze({name: value for name, value in genome.items() if name != "stem"})


def test_nni_own_strategy_runs_on_the_space():
    from nni.nas.execution import SequentialExecutionEngine
    from nni.nas.strategy import RegularizedEvolution

    space, seen = load_space("tiny"), []

    def evaluate(arch):
        seen.append(arch)
        return {"default": float(arch.stem), "rank1": 0.5}

    strategy = RegularizedEvolution(population_size=5, sample_size=2, seed=0)
    strategy(ArchSpace(space, ArchEvaluator(evaluate)), SequentialExecutionEngine(max_model_count=20))
    assert len(seen) == 20 and all(contains(space, arch) for arch in seen)
    assert next(strategy.list_models(limit=1)).metric == max(arch.stem for arch in seen)

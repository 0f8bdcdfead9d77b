"""A ``Space`` as NNI sees it: a model space of ``nni.choice``s, whose models are archs, and its evaluator."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import nni
from nni.mutable import LabeledMutable, Mutable, MutableDict, Sample, SampleValidationError
from nni.nas.evaluator import Evaluator
from nni.nas.space import ExecutableModelSpace, ModelStatus

from search.workers import Evaluate, measured
from supernet.arch import Arch
from supernet.space import Space, decode


class ArchSpace(ExecutableModelSpace):
    """A space of archs, or, once frozen, one arch of it.

    NNI's ``SimplifiedModelSpace`` without its rebuilding of a network for every model: an arch is all that is
    evaluated.

    Args:
        space: the choices; each becomes an ``nni.choice`` of the same name.
        evaluator: scores the archs.
    """

    def __init__(self, space: Space, evaluator: Evaluator) -> None:
        super().__init__()
        self.space, self.evaluator = space, evaluator
        choices = {name: nni.choice(name, list(options)) for name, options in space.dimensions().items()}
        self.mutables = MutableDict(choices)
        self.sample: Sample | None = None

    def freeze(self, sample: Sample) -> ArchSpace:
        """The model of one option for each choice; ``SampleValidationError`` where the space has no such
        option.
        """
        if self.status != ModelStatus.Initialized:
            raise RuntimeError("a frozen arch cannot be frozen again")
        self.validate(sample)
        model = ArchSpace.__new__(ArchSpace)
        ExecutableModelSpace.__init__(model, ModelStatus.Frozen)
        model.space, model.evaluator, model.mutables = self.space, self.evaluator, self.mutables
        model.sample = dict(sample)
        return model

    def check_contains(self, sample: Sample) -> SampleValidationError | None:
        return self.mutables.check_contains(sample)

    def leaf_mutables(self, is_leaf: Callable[[Mutable], bool]) -> Iterable[LabeledMutable]:
        yield from self.mutables.leaf_mutables(is_leaf)

    def executable_model(self) -> Arch:
        """The arch of a frozen model, at the space's input size."""
        if self.sample is None:
            raise RuntimeError("the space is not frozen: no arch has been chosen")
        return decode(self.space, self.sample)

    def extra_repr(self) -> str:
        return f"space={self.space.name!r}, sample={self.sample!r}, status={self.status.value!r}"


class ArchEvaluator(Evaluator):
    """Reports ``evaluate(arch)``, and the seconds it took, to NNI as the model's final result."""

    def __init__(self, evaluate: Evaluate) -> None:
        self.function = evaluate

    def evaluate(self, model: Arch) -> None:
        nni.report_final_result(measured(self.function, model))

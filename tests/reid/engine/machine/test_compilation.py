"""A compiled training against an eager one, and what it must leave alone."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

import reid.engine.machine.compilation as compilation
from reid.engine.machine.compilation import Compiled
from reid.engine.recipe.averaging import AveragingConfig
from reid.engine.recipe.optimizers import GroupEpochs, OptimizerConfig
from reid.engine.runs.run_folder import read_metrics
from reid.engine.trainer import Monitor, fit
from reid.errors import UserError


@pytest.fixture(autouse=True)
def _forget():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def _counted(monkeypatch, backend: str) -> CompileCounterWithBackend:
    """Counts compilations by ``backend``: "eager" runs what was traced, "aot_eager" its backward pass too."""
    counter, compile = CompileCounterWithBackend(backend), torch.compile
    monkeypatch.setattr(
        compilation.torch, "compile", lambda module, **options: compile(module, backend=counter, **options)
    )
    return counter


def _fit(task, batches, recipe, run, monitor=None):
    run.mkdir()
    return fit(task, batches, recipe, run, torch.device("cpu"), monitor=monitor)


@torch.no_grad()
def _distance(one, other) -> float:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return float(sum((a - b).square().sum() for a, b in pairs).sqrt())


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_trains_like_an_eager_one(make_identity_task, make_batches, recipe, tmp_path, monkeypatch, precision, backend):
    counter = _counted(monkeypatch, backend)
    recipe = replace(recipe, epochs=2, optimizer=OptimizerConfig(lr=0.01))

    def trained(name: str, **change):
        own = replace(recipe, **change)
        task = make_identity_task(own)
        _fit(task, make_batches(own), own, tmp_path / name)
        return task

    exact = trained("exact")
    eager = trained("eager", precision=precision)
    assert counter.frame_count == 0
    compiled = trained("compiled", precision=precision, compile=True)
    assert counter.frame_count == 1
    assert compiled.state_dict().keys() == eager.state_dict().keys()
    if precision == "fp32":  # sums in another order; bf16 rounds more than this net learns
        assert 0 < _distance(compiled, exact) < 0.01 * _distance(exact, make_identity_task(recipe))
    losses = [[record["loss"] for record in read_metrics(tmp_path / run)] for run in ("exact", "compiled")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3 if precision == "fp32" else 0.15)


def test_looks_averages_and_copies_compile_nothing(make_identity_task, make_batches, recipe, tmp_path, monkeypatch):
    """The training is one compilation, however often the network is looked at between its epochs."""
    counter = _counted(monkeypatch, "eager")
    looks = []

    def evaluate(task):
        network = copy.deepcopy(task.network).eval()
        with torch.no_grad():
            sizes = (1, 2, 5)
            looks.extend(network(torch.zeros(n, 3, 32, 16)).shape[0] for n in sizes)
            looks.extend(task.network.eval()(torch.zeros(n, 3, 32, 16)).shape[0] for n in sizes)
        return {"holdout_mAP": 0.5}

    recipe = replace(recipe, compile=True, evaluate_every=1, averaging=AveragingConfig("ema"))
    task = make_identity_task(recipe)
    kept = _fit(task, make_batches(recipe), recipe, tmp_path / "run", Monitor(evaluate))
    assert looks == recipe.epochs * [1, 2, 5, 1, 2, 5]
    assert counter.frame_count == 1
    assert kept is not task and kept.state_dict().keys() == task.state_dict().keys()


def test_a_part_that_is_fixed_at_first_is_compiled_once_more(
    make_identity_task, make_batches, recipe, tmp_path, monkeypatch
):
    counter = _counted(monkeypatch, "eager")
    optimizer = OptimizerConfig(freeze_epochs=GroupEpochs(backbone=2))
    recipe = replace(recipe, compile=True, optimizer=optimizer)
    _fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path / "run")
    assert counter.frame_count == 2


def test_resumed_equals_unbroken(make_identity_task, make_batches, recipe, tmp_path, monkeypatch):
    _counted(monkeypatch, "eager")
    recipe = replace(recipe, compile=True, evaluate_every=1)

    def interrupted(task):
        if len(read_metrics(tmp_path / "run")) == 1:
            raise KeyboardInterrupt
        return {"holdout_mAP": 0.5}

    unbroken, resumed = make_identity_task(recipe), make_identity_task(recipe)
    _fit(unbroken, make_batches(recipe), recipe, tmp_path / "unbroken")
    with pytest.raises(KeyboardInterrupt):
        _fit(make_identity_task(recipe), make_batches(recipe), recipe, tmp_path / "run", Monitor(interrupted))
    fit(resumed, make_batches(recipe), recipe, tmp_path / "run", torch.device("cpu"))
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in unbroken.state_dict().items())


def test_without_a_compiler_it_says_so_in_a_line(monkeypatch):
    def broken(graph, inputs):
        raise RuntimeError("no compiler\nat all")

    compile = torch.compile
    monkeypatch.setattr(
        compilation.torch, "compile", lambda module, **options: compile(module, backend=broken, **options)
    )
    with pytest.raises(UserError, match=r"cannot build kernels on this machine \(no compiler\); set") as at:
        Compiled()(torch.nn.Conv2d(3, 4, 1), torch.zeros(1, 3, 2, 2))
    assert "\n" not in str(at.value)

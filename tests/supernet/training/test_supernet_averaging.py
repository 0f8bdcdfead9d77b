"""A supernet whose weights are averaged: what is looked at, kept and written is the average."""

from __future__ import annotations

from pathlib import Path

import torch

from reid.data.prepare import prepare
from reid.engine.batches import training_batches
from reid.engine.bn_calibration import calibrate
from reid.engine.machine.device import seeded
from reid.engine.recipe.averaging import ema_decay
from reid.engine.trainer import Monitor, fit
from supernet.space.genome import largest, smallest
from supernet.supernet import Supernet
from supernet.trained.checkpoint import load_supernet, save_supernet
from supernet.training import SupernetTask

PROGRAM = Path(__file__).with_name("supernet_program.py")
CPU = torch.device("cpu")


def _copy(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_the_average_of_every_step_is_kept_and_written(load_program, tmp_path):
    program = load_program(PROGRAM)
    images, recipe = program.images(), program.RECIPE
    batches = training_batches(images, recipe, program.SIZE, 3, CPU)
    with seeded(7):
        task = SupernetTask(Supernet(program.SPACE), program.CLASSES, program.CONFIG, seed=3)
    steps, backward, looked_at = [], task.backward, []

    def watched(*arguments):
        steps.append(_copy(task))
        return backward(*arguments)

    task.backward = watched
    monitor = Monitor(lambda shown: looked_at.append(_copy(shown)) or {"largest_mAP": 0.5}, "largest_mAP")
    looking = type(recipe)(**{**vars(recipe), "evaluate_every": recipe.epochs})
    kept = fit(task, batches, looking, tmp_path, CPU, monitor=monitor)
    steps.append(_copy(task))

    average = steps[0]
    for number, weights in enumerate(steps[1:]):
        share = 1 - ema_decay(recipe.averaging.decay, number)
        average = {name: value + share * (weights[name] - value) for name, value in average.items()}
    assert len(steps) > 3 and isinstance(kept, SupernetTask) and kept is not task
    for name, value in kept.state_dict().items():
        torch.testing.assert_close(value, average[name], rtol=1e-5, atol=1e-6)
        assert torch.equal(value, looked_at[0][name])
    assert not torch.allclose(kept.supernet.stem.conv.weight, task.supernet.stem.conv.weight, atol=1e-6)

    # Archs of the written supernet are those of the average, with statistics measured on it.
    save_supernet(tmp_path / "supernet.safetensors", kept.supernet)
    read = load_supernet(tmp_path / "supernet.safetensors", CPU)
    pictures = prepare(images.images, program.SIZE)
    for arch in (largest(program.SPACE), smallest(program.SPACE)):
        network = calibrate(read.extract(arch), [pictures])
        with torch.no_grad():
            # One batch of all images: its own statistics are the measured ones, but for Bessel's correction.
            torch.testing.assert_close(network(pictures), kept.supernet.train()(pictures, arch), rtol=0.05, atol=0.05)

"""A training of one weight that blows up when it is told to, for tests of what is done about it."""

from __future__ import annotations

import torch
from torch import nn

from reid.engine.recipe import OptimizerConfig, Recipe, ScheduleConfig
from reid.engine.runs.run_folder import read_metrics


class Valley(nn.Module):
    """The loss ``curve / 2 * w ** 2``, whose curve is another from step ``turn`` on: SGD multiplies ``w`` by ``1 - rate
    * curve``, so it blows up where that is beyond -1."""

    def __init__(self, before: float, after: float, turn: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([[4.0]]))
        self.before, self.after, self.turn = before, after, turn

    def curve(self, number: int) -> float:
        return self.before if number < self.turn else self.after

    def backward(self, images, labels, context):
        loss = 0.5 * self.curve(context.number) * self.w.square().sum()
        context.backward(loss)
        return {"loss": loss.detach()}


def plain(epochs: int, lr: float, **change) -> Recipe:
    return Recipe(
        epochs=epochs,
        identities=3,
        instances=2,
        optimizer=OptimizerConfig(lr=lr, momentum=0.0, weight_decay=0.0),
        schedule=ScheduleConfig(name="constant"),
        **change,
    )


def records(run) -> list[dict]:
    return [
        {key: value for key, value in record.items() if key not in ("images_per_second", "peak_memory_mib")}
        for record in read_metrics(run)
    ]

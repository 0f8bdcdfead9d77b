"""A training step's forward and backward pass, recorded once and replayed on a CUDA GPU.

A light network's step is hundreds of kernels of a few microseconds each. Launched one by one from Python they take
longer to launch than to run; a CUDA graph launches them all at once. A graph holds kernels with fixed addresses and
fixed arguments, so only a step that is the same every time can be recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from reid.engine.machine.distributed import Processes
from reid.engine.recipe import Recipe
from reid.engine.tasks.task import StepContext, Task

WARM_UP = 3
"""Steps that run normally before one is recorded; in them, libraries choose kernels and allocate memory."""


def can_record(task: Task, recipe: Recipe, device: torch.device, processes: Processes) -> bool:
    """Whether a training's steps can be recorded and the recipe allows it.

    Not with several processes, which gather features within the step, nor with fp16, whose scaler may skip steps.
    """
    fixed = getattr(task, "same_every_step", False) and recipe.precision != "fp16"
    return recipe.cuda_graph and device.type == "cuda" and not processes.several and fixed


@dataclass(frozen=True, eq=False)
class _Recording:
    """A graph and the memory that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    images: torch.Tensor
    labels: torch.Tensor
    names: tuple[str, ...]
    log: torch.Tensor
    gradients: tuple[tuple[nn.Parameter, torch.Tensor], ...]


class RecordedBackward:
    """``task.backward`` for a task that is the same every step, replayed after the first few steps.

    Records again if the shape of batches changes or other parts of the network are trained (``freeze``). Recording does
    not execute anything: the recorded step is replayed afterwards, so every step is executed once.

    Args:
        task: on a CUDA device.
        parameters: those that may get a gradient.
    """

    def __init__(self, task: Task, parameters: Sequence[nn.Parameter]) -> None:
        self.task, self.parameters = task, parameters
        self._stream = torch.cuda.Stream(parameters[0].device)
        self._state: tuple | None = None
        self._warm = 0
        self._recording: _Recording | None = None

    def __call__(self, images: torch.Tensor, labels: torch.Tensor, context: StepContext) -> dict[str, torch.Tensor]:
        """Same as ``Task.backward``. Parameters must have no gradient (``zero_grad(set_to_none=True)``)."""
        state = (images.shape, images.stride(), tuple(parameter.requires_grad for parameter in self.parameters))
        if state != self._state:
            self._state, self._warm, self._recording = state, 0, None
        if self._warm < WARM_UP:
            self._warm += 1
            return self._run_aside(images, labels, context)
        if self._recording is None:
            self._recording = self._record(images, labels, context)
        recording = self._recording
        recording.images.copy_(images)
        recording.labels.copy_(labels)
        recording.graph.replay()
        for parameter, gradient in recording.gradients:
            parameter.grad = gradient
        # A copy, since the next step overwrites the recorded numbers and the log is summed over many steps.
        return dict(zip(recording.names, recording.log.clone().unbind(), strict=True))

    def _run_aside(self, images, labels, context) -> dict[str, torch.Tensor]:
        """Runs a step on the stream that will record, so that autograd and the libraries set up their state for it."""
        current = torch.cuda.current_stream(images.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            log = self.task.backward(images, labels, context)
        current.wait_stream(self._stream)
        return log

    def _record(self, images, labels, context) -> _Recording:
        graph, images, labels = torch.cuda.CUDAGraph(), images.clone(), labels.clone()
        with torch.cuda.graph(graph, stream=self._stream):
            log = self.task.backward(images, labels, context)
            values = torch.stack([value.float() for value in log.values()])
        gradients = tuple((each, each.grad) for each in self.parameters if each.grad is not None)
        return _Recording(graph, images, labels, tuple(log), values, gradients)

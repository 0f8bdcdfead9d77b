"""What ``test_distributed.py`` runs in each of two processes, with torchrun's variables: ``distributed_program.py
FOLDER``.

Results are left in ``FOLDER/rank<R>.pt``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

import reid.engine.machine.distributed as distributed
from reid.data.samplers import PKSampler
from reid.engine.machine.distributed import (
    Processes,
    broadcast_parameters,
    from_environment,
    gather_batch,
    process_group,
    sum_gradients,
)
from reid.engine.machine.sync_batch_norm import sync_batch_norm
from reid.losses.triplet import batch_hard_triplet

CLASSES, EACH, P, K = 7, 5, 4, 3
"""The training images are ``CLASSES * EACH``, in PK batches."""


class Task(nn.Module):
    """A small convolutional network with BN of both kinds, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU6(),
            nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
            nn.BatchNorm2d(8),
            nn.Hardswish(),
            nn.Conv2d(8, 12, 1, bias=False),
            nn.BatchNorm2d(12, momentum=None),
            nn.Hardswish(),  # or the shift of the BN before it would be undone by the neck, and have no gradient
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.neck = nn.BatchNorm1d(12, affine=False)
        self.classifier = nn.Linear(12, CLASSES, bias=False)

    def outputs(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.network(images)
        return features, self.classifier(self.neck(features))


def loss_of(features, logits, labels) -> torch.Tensor:
    """Cross-entropy and batch-hard triplet over a batch."""
    return F.cross_entropy(logits, labels) + batch_hard_triplet(features, labels, 0.3).loss


def fresh_task(seed: int, dtype: torch.dtype) -> Task:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Task().to(dtype, memory_format=torch.channels_last)


def data(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(CLASSES).repeat_interleave(EACH)
    images = torch.randn(len(labels), 3, 12, 6, generator=generator) + labels[:, None, None, None] / 4 + 3
    return images.to(dtype), labels


def train(processes: Processes, task: Task, batches: list[torch.Tensor], dtype: torch.dtype) -> list[dict]:
    """The loss and every gradient of each step, as the training loop gets them on ``processes``."""
    images, labels = data(dtype)
    task = sync_batch_norm(processes, task)
    steps = []
    for index in batches:
        task.zero_grad()
        features, logits = (gather_batch(processes, output) for output in task.outputs(images[index]))
        loss = loss_of(features, logits, gather_batch(processes, labels[index]))
        loss.backward()
        sum_gradients(processes, task.parameters())
        gradients = {name: parameter.grad.clone() for name, parameter in task.named_parameters()}
        steps.append({"loss": loss.detach(), "gradients": gradients})
        descend(task)
    return steps


@torch.no_grad()
def descend(task: Task) -> None:
    """A plain step: torch's optimizers take longer to import than all of this to run."""
    for parameter in task.parameters():
        parameter -= 0.1 * parameter.grad


def _trainings(processes: Processes) -> dict:
    """Float32 and float64; the second process begins with weights of its own, and gets those of the first."""
    results = {}
    for dtype in (torch.float32, torch.float64):
        task = fresh_task(processes.rank, dtype)
        broadcast_parameters(processes, task)
        sampler = PKSampler(data(dtype)[1], P, K, 1, processes.rank, processes.world_size)
        steps = train(processes, task, sampler.epoch(1)[:3], dtype)
        results[str(dtype)] = {"steps": steps, "state": task.state_dict()}
    return results


def _collectives(processes: Processes) -> dict:
    """Gradients of two dtypes and memory formats, one absent, summed in small buckets; tensors of other kinds."""
    distributed._BUCKET = 10
    generator = torch.Generator().manual_seed(processes.rank)
    parameters = [nn.Parameter(torch.zeros(shape)) for shape in ((3,), (2, 3, 2, 2), (4,), (5,), (30,))]
    parameters.append(nn.Parameter(torch.zeros(2, dtype=torch.float64)))
    for position, parameter in enumerate(parameters):
        if position != 3:
            parameter.grad = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
    parameters[1].grad = parameters[1].grad.to(memory_format=torch.channels_last)
    sum_gradients(processes, parameters)
    layer = nn.BatchNorm1d(2).requires_grad_(False)
    layer.num_batches_tracked += 2**40 + 1 + processes.rank  # more digits than a float32 beside it has
    layer.weight += processes.rank
    broadcast_parameters(processes, layer)
    own = torch.arange(4).view(2, 2) + 10 * processes.rank
    kinds = (torch.int64, torch.uint8, torch.bfloat16, torch.float16)
    return {
        "gradients": [parameter.grad for parameter in parameters],
        "broadcast": layer.state_dict(),
        "gathered": [gather_batch(processes, own.T.to(kind)) for kind in kinds],
    }


def _uneven_batch_norm(processes: Processes) -> dict:
    """3 rows in one process and 5 in the other, far from zero; and the dtype under bf16."""
    x, dy = uneven()
    mine = slice(0, 3) if processes.rank == 0 else slice(3, 8)
    layer = sync_batch_norm(processes, nn.Sequential(nn.BatchNorm2d(4)))
    own = x[mine].clone().requires_grad_()
    y = layer(own)
    y.backward(dy[mine])
    half = x[mine].bfloat16().requires_grad_()
    half_y = layer(half)
    half_y.sum().backward()
    layer.eval()
    return {
        "y": y.detach(),
        "dx": own.grad,
        "half": (half_y.dtype, half.grad.dtype),
        "in eval mode": layer(x).detach(),
        "state": layer.state_dict(),
    }


class Activated(nn.BatchNorm2d):
    """BN with what timm's ``BatchNormAct2d`` has behind it, under the same names."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.drop(super().forward(x)))


def _activated_batch_norm(processes: Processes) -> dict:
    """As ``_uneven_batch_norm``, nearer to zero, by a BN that holds its activation."""
    x, dy = uneven()
    mine = slice(0, 3) if processes.rank == 0 else slice(3, 8)
    layer = sync_batch_norm(processes, nn.Sequential(Activated(4)))
    own = (x[mine] - 1000).requires_grad_()
    y = layer(own)
    y.backward(dy[mine])
    layer.eval()
    return {
        "y": y.detach(),
        "dx": own.grad,
        "in eval mode": layer(x[mine] - 1000).detach(),
        "state": layer.state_dict(),
    }


def uneven() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(8, 4, 3, 2, generator=generator) + 1000, torch.randn(8, 4, 3, 2, generator=generator)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with process_group(from_environment(torch.device("cpu")), f"file://{folder}/meeting") as processes:
        results = {
            "trainings": _trainings(processes),
            "collectives": _collectives(processes),
            "batch norm": _uneven_batch_norm(processes),
            "activated": _activated_batch_norm(processes),
        }
        distributed.barrier(processes)
    torch.save(results, folder / f"rank{processes.rank}.pt")

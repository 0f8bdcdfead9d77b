"""Training batches: decoded images on the training device, drawn by a sampler and augmented there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from reid.data.augment import AugmentConfig, augment
from reid.data.records import ImageSet
from reid.data.samplers import Sampler, build_sampler
from reid.engine.bn_calibration import calibration_images
from reid.engine.machine.distributed import SINGLE, Processes
from reid.engine.recipe import Recipe
from reid.engine.seeds import step_seed
from reid.transfer import to_device


@dataclass(frozen=True, eq=False)
class TrainingBatches:
    """An image set prepared for training. Every epoch is a pure function of its number, so a resumed run sees the same
    images.

    Attributes:
        images: ``(N, H, W, 3) uint8``, on the training device.
        labels: ``(N,) int64`` class labels, on the training device.
        classes: number of identities.
        sampler: draws the indices of this process's share of each batch.
        size: ``(height, width)`` of the network's input.
        config: the augmentation.
        seed: of the augmentation.
        rank: of this process; each process augments its own share with different random numbers.
    """

    images: torch.Tensor
    labels: torch.Tensor
    classes: int
    sampler: Sampler
    size: tuple[int, int]
    config: AugmentConfig
    seed: int
    rank: int = 0

    @property
    def per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return self.sampler.batches_per_epoch

    def epoch(self, number: int, done: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """``(images (n, 3, h, w) float32, labels (n,) int64)`` for every step of the epoch after the first ``done``."""
        generator = torch.Generator()
        for step, index in enumerate(self.sampler.epoch(number)[done:], start=done):
            # One seed per step: the numbers are the same whether or not this process ran the previous steps.
            generator.manual_seed(step_seed(self.seed, number, step, self.rank))
            index = to_device(index, self.images.device)
            images = self.images.index_select(0, index)  # on a CPU two to four times as fast as images[index]
            yield augment(images, self.size, self.config, generator), self.labels[index]

    def calibration(self, count: int = 2048, batch: int = 64) -> Iterator[torch.Tensor]:
        """``(n, 3, h, w)`` images for measuring BN statistics, augmented as in the epochs: up to ``batch`` at a time
        and ``count`` in total, drawn by the seed."""
        return calibration_images(self.images, self.size, self.config, count, batch, self.seed)


def training_batches(
    data: ImageSet,
    recipe: Recipe,
    size: tuple[int, int],
    seed: int,
    device: torch.device,
    processes: Processes = SINGLE,
) -> TrainingBatches:
    """Batches of ``data`` on ``device``, drawn and augmented as ``recipe`` says. On the CPU, pixels are not copied.

    Raises:
        UserError: the batches cannot be drawn from these identities, or cannot be split over the processes.
    """
    labels, classes = data.labels()
    sampler = build_sampler(
        recipe.sampler,
        labels,
        recipe.identities,
        recipe.instances,
        seed,
        camids=data.camids,
        sources=data.sources,
        rank=processes.rank,
        world_size=processes.world_size,
    )
    return TrainingBatches(
        data.images.to(device), labels.to(device), classes, sampler, size, recipe.augment, seed, processes.rank
    )

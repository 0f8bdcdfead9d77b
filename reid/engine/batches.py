"""Training batches: decoded images on the training device, drawn by the PK sampler, augmented there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from reid.data.augment import AugmentConfig, augment
from reid.data.records import ImageSet
from reid.data.sampler import PKSampler


@dataclass(frozen=True, eq=False)
class TrainingBatches:
    """An image set made ready for training; every epoch is a pure function of its number, so a resumed run sees the
    same.

    Attributes:
        images: ``(N, H, W, 3) uint8``, on the training device.
        labels: ``(N,) int64`` class labels, on the training device.
        classes: number of identities.
        sampler: draws the indices.
        size: ``(height, width)`` the network sees.
        config: the augmentation.
        seed: of the augmentation.
    """

    images: torch.Tensor
    labels: torch.Tensor
    classes: int
    sampler: PKSampler
    size: tuple[int, int]
    config: AugmentConfig
    seed: int

    @property
    def per_epoch(self) -> int:
        """Batches in an epoch."""
        return self.sampler.batches_per_epoch

    def epoch(self, number: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """``(images (P*K, 3, h, w) float32, labels (P*K,) int64)`` for every step of the epoch."""
        generator = torch.Generator()
        for step, index in enumerate(self.sampler.epoch(number)):
            # One seed a step: the same numbers follow whether or not the steps before were run in this process.
            generator.manual_seed(((self.seed * 1_000_003 + number) * 100_003 + step) % 2**63)
            index = index.to(self.images.device)
            yield augment(self.images[index], self.size, self.config, generator), self.labels[index]


def training_batches(
    data: ImageSet,
    identities: int,
    instances: int,
    size: tuple[int, int],
    config: AugmentConfig,
    seed: int,
    device: torch.device,
) -> TrainingBatches:
    """PK batches (``identities`` x ``instances``) of ``data`` on ``device``. On the CPU the pixels stay where they
    are."""
    labels, classes = data.labels()
    sampler = PKSampler(labels, identities, instances, seed)
    return TrainingBatches(data.images.to(device), labels.to(device), classes, sampler, size, config, seed)

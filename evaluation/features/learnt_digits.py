"""Embeddings of handwritten digits by a network that was trained on other digits with the triplet loss, a classic
picture of metric learning (TryTry ReID has one of MNIST). It shows in seconds what the losses and the sampler of this
framework do."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional as F

from evaluation.features.vector_files import LabelledVectors
from evaluation.retrieval.metrics import score_features
from evaluation.retrieval.rules import MatchRule
from reid.data.samplers import PKSampler
from reid.engine.seeds import seeded_step
from reid.losses.config import TripletConfig
from reid.losses.triplet import triplet_loss
from reid.models.heads import HeadConfig
from reid.models.network import ReidNetwork
from supernet.files import arch_from_rows
from supernet.network import build_network

STEPS = 120
"""Steps of the training: a few seconds on one core, after which the loss of scikit-learn's digits is near 0."""

INSTANCES = 6
RATE = 2e-3
TRIPLET = TripletConfig(margin=0.3, selection="semi_hard", normalize=True)

_EACH_OTHER = MatchRule(same_camera_is_junk=False, junk_pids=(), distractor_pids=())


@dataclass(frozen=True, eq=False)
class LearntDigits:
    """Attributes:
    embeddings: ``(N, 32)``, of the digits that were held out.
    pixels: of the same digits, as they were given.
    learnt: number of digits that the network was trained on.
    """

    embeddings: LabelledVectors
    pixels: LabelledVectors
    learnt: int


def learn_digits(given: LabelledVectors, seed: int, steps: int = STEPS) -> LearntDigits:
    """Trains a small network on half of ``given``, pixels in 0..1 of square images, and embeds the other half.

    Every batch has ``INSTANCES`` images of each digit. ``seed`` determines the split, the batches and the initial
    weights.
    """
    order = np.argsort(np.random.default_rng(seed).random(len(given.labels)), kind="stable")
    half = len(order) // 2
    learnt, shown = given.select(order[:half]), given.select(order[half:])
    side = round(given.vectors.shape[1] ** 0.5)
    network = _trained(_images(learnt, side), torch.from_numpy(learnt.labels), seed, steps)
    with torch.no_grad():
        parts = [network(part) for part in _images(shown, side).split(500)]
    return LearntDigits(replace(shown, vectors=torch.cat(parts).numpy()), shown, half)


def each_by_the_others(given: LabelledVectors, metric: str) -> float:
    """mAP (step) when each vector is looked up among all others by its label."""
    ids = np.arange(len(given.labels))
    side = (given.vectors, given.labels, None)
    return score_features(*side, *side, metric=metric, rule=_EACH_OTHER, query_ids=ids, gallery_ids=ids).mAP


def _trained(images: torch.Tensor, labels: torch.Tensor, seed: int, steps: int) -> ReidNetwork:
    side = images.shape[2]
    rows = ([1, 16, 1, side // 16], [4, 32, 2, 2])
    arch = arch_from_rows(rows, input_size=(side, side), stem=16, last_width=128, embedding=32)
    with seeded_step(seed, torch.device("cpu")):
        network = build_network(arch, HeadConfig(neck="none")).train()
    sampler = PKSampler(labels, len(labels.unique()), INSTANCES, seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1.0 / steps, total_iters=steps)
    for step in range(steps):
        epoch, place = divmod(step, sampler.batches_per_epoch)
        if place == 0:
            batches = sampler.epoch(epoch)
        optimizer.zero_grad()
        triplet_loss(network(images[batches[place]]), labels[batches[place]], TRIPLET).loss.backward()
        optimizer.step()
        decay.step()
    return network.eval()


def _images(given: LabelledVectors, side: int) -> torch.Tensor:
    """``(N, 3, 16, 16)`` in -1..1; ``(N, 3, 32, 32)`` if the images' sides have more than 16 pixels."""
    pixels = torch.from_numpy(given.vectors).view(-1, 1, side, side)
    size = 16 if side <= 16 else 32
    return F.interpolate(pixels, (size, size), mode="bilinear").mul(2).sub(1).expand(-1, 3, -1, -1)

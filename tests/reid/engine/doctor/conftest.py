"""A network of two layers with a BNNeck, trained on random vectors in a second; records like the engine's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from evaluation.retrieval.metrics import score_features
from reid.data.samplers import PKSampler
from reid.engine.doctor import TrainingFacts, embedding_signs, random_level
from reid.losses.triplet import batch_hard_triplet

IDENTITIES, EACH, DIM, P, K = 12, 8, 16, 6, 4
Records = list[dict[str, Any]]


class Network(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(DIM, 64), nn.ReLU(), nn.Linear(64, 32))
        self.neck = nn.BatchNorm1d(32)
        self.classifier = nn.Linear(32, classes, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.backbone(inputs)
        return features, self.classifier(self.neck(features))


def persons(identities: int, noise: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors ``(N, DIM)`` around a point of each identity's own, and labels ``(N,)``."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(identities).repeat_interleave(EACH)
    centers = torch.randn(identities, DIM, generator=generator)
    return centers[labels] + noise * torch.randn(len(labels), DIM, generator=generator), labels


@pytest.fixture(scope="session")
def train() -> Callable[..., tuple[Records, TrainingFacts]]:
    def train(
        lr: float = 0.05,
        *,
        epochs: int = 10,
        margin: float | None = 0.3,
        cross_entropy: float = 1.0,
        noise: float = 0.3,
        change: Callable[[Network], None] = lambda network: None,
        inputs: torch.Tensor | None = None,
    ) -> tuple[Records, TrainingFacts]:
        """Trains with SGD after ``change``, on ``inputs`` in place of persons where they are given."""
        own, labels = persons(IDENTITIES, noise, seed=0)
        inputs = own if inputs is None else inputs
        held, held_labels = persons(IDENTITIES, noise, seed=1)
        cameras = torch.arange(len(held)) % 2 + 1
        query = torch.arange(len(held)) % EACH < 2
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = Network(IDENTITIES)
        change(network)
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        optimizer = torch.optim.SGD(weights, lr, momentum=0.9)
        sampler = PKSampler(labels, P, K, seed=0)
        records = []
        for epoch in range(1, epochs + 1):
            sums: dict[str, float] = {}
            network.train()
            for index in sampler.epoch(epoch):
                features, logits = network(inputs[index])
                triplet = batch_hard_triplet(features, labels[index], margin)
                loss_ce = F.cross_entropy(logits, labels[index], label_smoothing=0.1)
                loss = cross_entropy * loss_ce + triplet.loss
                optimizer.zero_grad()
                loss.backward()
                norm = nn.utils.clip_grad_norm_(weights, float("inf"), error_if_nonfinite=False)
                optimizer.step()
                log = {
                    "loss": loss,
                    "loss_ce": loss_ce,
                    "loss_triplet": triplet.loss,
                    "active_triplets": triplet.active,
                    "distance_gap": triplet.gap,
                    "accuracy": (logits.argmax(1) == labels[index]).float().mean(),
                    "gradient_norm": norm,
                }
                for name, value in (log | embedding_signs(features, labels[index])).items():
                    sums[name] = sums.get(name, 0.0) + float(value.detach()) / sampler.batches_per_epoch
            records.append(sums | {"epoch": epoch})
            with torch.no_grad():
                embedding = network.eval().neck(network.backbone(held))
            if torch.isfinite(embedding).all():
                arguments = [part[mask] for mask in (query, ~query) for part in (embedding, held_labels, cameras)]
                records[-1]["holdout_mAP"] = score_features(*arguments).mAP
        facts = TrainingFacts(
            epochs=epochs,
            steps_per_epoch=sampler.batches_per_epoch,
            classes=IDENTITIES,
            identities=P,
            instances=K,
            margin=margin,
            plain_softmax=cross_entropy > 0,
            learning_rate=lr,
            random_mAP=random_level(held_labels[query], cameras[query], held_labels[~query], cameras[~query]).mAP,
        )
        return records, facts

    return train

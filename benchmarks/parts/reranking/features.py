"""Synthetic features to re-rank, spread as persons and cameras spread them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from evaluation.retrieval.metrics import ReidScore, score_distances


@dataclass(frozen=True)
class Retrieval:
    """Features ``(Q, D)`` and ``(G, D)`` of length 1, and the labels that ``score_distances`` takes."""

    query: torch.Tensor
    gallery: torch.Tensor
    labels: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

    def score(self, distances: np.ndarray | torch.Tensor) -> ReidScore:
        return score_distances(distances, *self.labels)

    def squares(self) -> np.ndarray:
        """``(N, N) float64`` squared distances."""
        features = torch.cat([self.query, self.gallery]).double()
        return torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist").square_().numpy()


def synthetic_retrieval(queries: int, gallery: int, width: int = 256, seed: int = 0) -> Retrieval:
    """Persons as centres in 24 directions, each image off by its camera and by a spread of its own.

    The shares are Market-1501's: 4.5 queries and 17.5 gallery images a person, 6 cameras, 18 % distractors.
    """
    random = np.random.default_rng(seed)
    persons, directions = max(2, round(queries / 4.5)), 24
    strangers = round(0.18 * gallery)
    centres = random.normal(size=(persons + max(strangers, 1), directions))
    cameras = 0.5 * random.normal(size=(7, directions))
    embed = random.normal(size=(directions, width)) / directions**0.5
    sides = []
    for count, others in ((queries, 0), (gallery, strangers)):
        person = np.concatenate([np.arange(count - others) % persons, persons + np.arange(others)])
        camids = random.integers(1, 7, count)
        spread = random.uniform(0.3, 1.1, (count, 1))
        latent = centres[person] + cameras[camids] + spread * random.normal(size=(count, directions))
        features = latent @ embed + 0.3 * random.normal(size=(count, width))
        order = random.permutation(count)
        pids = np.where(person < persons, person + 1, 0)
        features = torch.nn.functional.normalize(torch.from_numpy(features[order])).float()
        sides.append((features, pids[order], camids[order]))
    (query, *query_labels), (others, *gallery_labels) = sides
    return Retrieval(query, others, (*query_labels, *gallery_labels))

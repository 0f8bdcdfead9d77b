"""Checks of a network and its recipe before a run folder is created."""

from __future__ import annotations

import copy

import torch

from reid.engine.recipe import Recipe
from reid.engine.recipe.optimizers import frozen_groups
from reid.errors import UserError
from reid.models.network import ReidNetwork


def try_network(network: ReidNetwork, size: tuple[int, int], recipe: Recipe) -> None:
    """Runs a copy of a fresh network in training mode, so that the network's own BN does not change.

    Args:
        size: ``(h, w)`` of its images.
        recipe: by which it will be trained.

    Raises:
        UserError: its head cannot take the feature map of this size, or everything that the losses could train is
            frozen in the first epoch.
    """
    fixed, losses = frozen_groups(recipe.optimizer, 1), recipe.losses
    tried = copy.deepcopy(network).train()
    for name in fixed & {"backbone", "head"}:
        getattr(tried, name).requires_grad_(False)
    output = tried.outputs(torch.zeros(2, 3, *size))
    told, metric = losses.distillation, (losses.triplet, losses.circle, losses.center, losses.centroid)
    learns = []
    if losses.classification.weight or told.logits:
        learns += ["classifier" not in fixed, *(part.requires_grad for part in output.parts)]
    if any(loss.weight for loss in metric):
        learns.append(output.feature.requires_grad)
    if told.embedding or told.similarity:
        learns.append(output.embedding.requires_grad)
    if not any(learns):
        raise UserError(
            f"retrain.optimizer: with {' and '.join(sorted(fixed))} fixed in the first epoch, nothing is left that the "
            "losses could train; lower freeze_epochs, set rates above 0, or give losses.classification a weight"
        )

"""Looks at held-out identities while a network is trained; test data are never looked at then."""

from __future__ import annotations

from torch import nn

from evaluation.features.extraction import evaluate_network
from reid.data.records import ImageSet
from reid.engine.checkpoint import save_weights
from reid.engine.trainer import Monitor
from reid.errors import UserError
from supernet.catalog import NetworkSpec, for_inference, spec_to_dict
from tools.jobs.data import Source, search_data
from tools.jobs.job import Job

BEST = "best.safetensors"


def held_out(job: Job, source: Source) -> tuple[ImageSet, ImageSet] | None:
    """The held-out identities as query and gallery, where those are not trained on and looked at.

    Raises:
        UserError: the recipe goes by their score, and they are not held out or never looked at.
    """
    recipe, data = job.experiment.retrain, job.experiment.data
    if data.retrain_on_holdout or not recipe.evaluate_every:
        stops = recipe.early_stopping is not None and recipe.early_stopping.metric.startswith("holdout_")
        if recipe.keep_best or stops:
            raise UserError(
                f"retrain.{'keep_best' if recipe.keep_best else 'early_stopping'} goes by held-out identities; set "
                "data.retrain_on_holdout=false and retrain.evaluate_every above 0"
            )
        return None
    held = search_data(source, job.experiment.data)
    return held.query, held.gallery


def holdout_monitor(job: Job, spec: NetworkSpec, held: tuple[ImageSet, ImageSet]) -> Monitor:
    """mAP and Rank-1 on ``held``; the best weights by it are kept as ``BEST``."""

    def evaluate(task: nn.Module) -> dict[str, float]:
        score = evaluate_network(task.network, *held, spec.input_size, job.device)
        return {"holdout_mAP": score.mAP, "holdout_rank1": score.rank1}

    def keep(task: nn.Module) -> None:
        network, kept = for_inference(task.network, spec)
        save_weights(job.out / BEST, network, spec_to_dict(kept))

    return Monitor(evaluate, keep=keep)

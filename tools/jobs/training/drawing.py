"""The batches of a training, with an error that also explains which identities are left out."""

from __future__ import annotations

from reid.data.records import ImageSet
from reid.engine.batches import TrainingBatches, training_batches
from reid.engine.machine.distributed import Processes
from reid.engine.recipe import Recipe
from reid.errors import UserError
from tools.jobs.data import Source, training_identities
from tools.jobs.job import Job


def batches_of(
    source: Source, images: ImageSet, recipe: Recipe, size: tuple[int, int], job: Job, processes: Processes
) -> TrainingBatches:
    """The batches of ``images``, the training images of ``source``; see ``training_batches``."""
    try:
        return training_batches(images, recipe, size, job.seed, job.device, processes)
    except UserError as error:
        there = len(training_identities(source))
        if there <= len(images.pids.unique()):
            raise
        raise UserError(
            f"{error} ({source.dataset.name} has {there} besides those of its test; data.holdout_identities and "
            "data.train_identities set which of them are trained on)"
        ) from None

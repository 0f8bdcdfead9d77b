"""An evaluation in TensorBoard: scores as scalars, the gallery in the embedding projector."""

from __future__ import annotations

import shutil
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from evaluation.projector import write_projector
from evaluation.protocols import Evaluation
from evaluation.retrieval.labeled_features import RetrievalFeatures
from evaluation.retrieval.scores import SCORE_WORDS
from reid.files import naming

FOLDER = "tensorboard"


def write_scalars(run: Path, evaluation: Evaluation, step: int, anew: bool = False) -> None:
    """Writes the scores as ``test/...`` at ``step``, and those of other rankings as ``reranked/...`` and
    ``single_shot/...``.

    Args:
        anew: first remove an earlier evaluation's events and projector. A training's scores are added beside its
            curves.
    """
    if anew:
        shutil.rmtree(run / FOLDER, ignore_errors=True)
    scores = {
        "test": evaluation.score,
        "reranked": evaluation.reranked,
        "single_shot": evaluation.single_shot,
    }
    with naming(run / FOLDER), SummaryWriter(str(run / FOLDER)) as writer:
        for group, score in scores.items():
            for field, name in SCORE_WORDS.items():
                if hasattr(score, field):
                    writer.add_scalar(f"{group}/{name}", getattr(score, field), step)
        if evaluation.verification is not None:
            writer.add_scalar("verification/AUC", evaluation.verification.auc, step)
            writer.add_scalar("verification/EER", evaluation.verification.eer, step)
            for rate, tpr in evaluation.verification.tpr_at_fmr.items():
                writer.add_scalar(f"verification/TPR at FMR {rate:g}", tpr, step)
        if evaluation.threshold_rates is not None:
            writer.add_scalar("threshold/FMR", evaluation.threshold_rates.fmr, step)
            writer.add_scalar("threshold/TPR", evaluation.threshold_rates.tpr, step)


def show_gallery(run: Path, features: RetrievalFeatures) -> None:
    """Writes gallery features with identity and camera, but no images, for the projector."""
    gallery, rule = features.gallery, features.rule
    nobody = (*rule.junk_pids, *rule.distractor_pids)
    write_projector(run / FOLDER, gallery.features, gallery.pids, gallery.camids, nobody=nobody)

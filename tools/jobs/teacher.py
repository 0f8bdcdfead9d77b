"""The teacher of a distillation, from the run of an earlier training or from a supernet."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from reid.data.records import ImageSet
from reid.engine.bn_calibration import calibrate
from reid.engine.checkpoint import load_weights, read_about, save_weights
from reid.engine.teacher import Teacher
from reid.errors import UserError
from reid.losses.config import DistillationConfig
from reid.models.classifiers import Classifier
from search.evaluator import calibration_batches
from supernet.catalog import build, spec_from_dict
from supernet.checkpoint import load_supernet
from supernet.space import largest
from tools.cli import Job
from tools.jobs.result import WEIGHTS

CLASSIFIER = "classifier.safetensors"
"""The classifier of a run's training identities: no part of the network, but what a student learns logits from."""


def save_classifier(run: Path, classifier: torch.nn.Module, images: ImageSet) -> Path:
    """Writes a run's classifier beside its network."""
    classes, dim = classifier.weight.shape
    about = {"kind": "classifier", "classes": classes, "dim": dim, "identities": _fingerprint(images)}
    return save_weights(run / CLASSIFIER, classifier, about)


def load_teacher(config: DistillationConfig, images: ImageSet, job: Job) -> Teacher | None:
    """The teacher that ``config`` names, ready on the job's device; ``None`` where it names none.

    It is the run folder of a training, a file with a network's weights, or a supernet's weights; of a supernet it is
    the largest arch, its BN calibrated on ``images``, the student's training images.

    Raises:
        UserError: the weights are missing or unreadable, or its logits are asked for and are of other identities.
    """
    if config.teacher is None:
        return None
    path = Path(config.teacher)
    path = path / WEIGHTS if path.is_dir() else path
    about = read_about(path)
    if about.get("kind") == "supernet":
        supernet = load_supernet(path, job.device)
        arch = largest(supernet.space)
        batches = calibration_batches(images, arch.input_size, job.device, job.experiment.search, job.seed)
        network = calibrate(supernet.extract(arch), batches)
    else:
        network = build(spec_from_dict(about))
        load_weights(path, network)
    network.to(job.device).eval().requires_grad_(False)
    return Teacher(network, _load_classifier(path, images, job) if config.logits else None)


def _load_classifier(weights: Path, images: ImageSet, job: Job) -> Classifier | None:
    path = weights.parent / CLASSIFIER
    if not path.exists():
        return None
    about = read_about(path)
    if about.get("identities") != _fingerprint(images):
        raise UserError(
            f"teacher {weights}: was trained on other identities than the student; its logits cannot be distilled, "
            "use losses.distillation.similarity or .embedding"
        )
    classifier = Classifier(about["dim"], about["classes"])
    load_weights(path, classifier)
    return classifier.to(job.device).eval().requires_grad_(False)


def _fingerprint(images: ImageSet) -> str:
    """Names the training identities and their order, as class labels follow it."""
    identities = ",".join(str(pid) for pid in torch.unique(images.pids).tolist())
    return hashlib.sha256(identities.encode()).hexdigest()[:16]

"""The teachers of a distillation, from earlier trainings, the zoo or a supernet."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from reid.data.prepare import prepare
from reid.data.records import ImageSet
from reid.engine.bn_calibration import calibrate
from reid.engine.runs.checkpoint import load_weights, read_about, save_weights
from reid.engine.runs.run_folder import WEIGHTS
from reid.engine.tasks.objective import logit_scale, speakers
from reid.engine.tasks.teacher import Ensemble, Teacher
from reid.errors import UserError
from reid.losses.config import DistillationConfig, LossConfig
from reid.models.classifiers import Classifier, CosineClassifier
from search.scoring.evaluator import calibration_batches
from supernet.space.genome import largest
from supernet.trained import network_file
from supernet.trained.checkpoint import load_network, load_supernet
from tools.jobs.data import Source
from tools.jobs.experiment import DataConfig
from tools.jobs.job import Job
from tools.jobs.runs.moved import TEACHER_SHA256
from tools.jobs.runs.provenance import sha256
from tools.jobs.runs.strangers import unsure_of

CLASSIFIER = "classifier.safetensors"
"""A run's classifiers of its training identities. They are not part of the network, but a student can learn their
logits."""

LOOKED_AT = 256
"""Number of training images on which a teacher trained on other images is tested."""


def save_classifier(run: Path, classifiers: nn.ModuleList, losses: LossConfig, images: ImageSet) -> Path | None:
    """Writes a run's classifiers beside its network, with the digest of the network's file. Classifiers that neither
    the classification loss nor distillation of logits has trained are useless and not written."""
    if not (losses.classification.weight or losses.distillation.logits):
        return None
    classes, dim = classifiers[0].weight.shape
    about = {
        "kind": "classifier",
        "classes": classes,
        "dim": dim,
        "branches": len(classifiers),
        "cosine": isinstance(classifiers[0], CosineClassifier),
        "scale": logit_scale(losses.classification),
        "identities": _fingerprint(torch.unique(images.pids)),
        "images": _fingerprint(images.pids),
        "weights_sha256": sha256(run / WEIGHTS),
    }
    return save_weights(run / CLASSIFIER, _as_file(classifiers), about)


def _as_file(classifiers: nn.ModuleList) -> nn.Module:
    """The module stored in the file: a single classifier is stored bare, as in earlier versions."""
    return classifiers[0] if len(classifiers) == 1 else classifiers


def load_teacher(
    config: DistillationConfig, images: ImageSet, size: tuple[int, int], job: Job
) -> Teacher | Ensemble | None:
    """The teacher or ensemble of teachers named in ``config``, on the job's device; ``None`` if there is none.

    Each is the run folder of a training, a file with a network's weights, a name of the zoo, or a supernet's folder or
    weights. Of a supernet, the largest arch teaches, with BN calibrated on ``images``, the student's training images,
    at ``size``, the student's input size.

    Raises:
        UserError: the weights are missing or unreadable, or logits are requested but belong to other identities, even
            if these have the same numbers.
    """
    found = tuple(_load(_weights(name), config, images, size, job) for name in config.teachers)
    return Ensemble(found) if len(found) > 1 else next(iter(found), None)


def _load(path: Path, config: DistillationConfig, images: ImageSet, size: tuple[int, int], job: Job) -> Teacher:
    about = read_about(path)
    if about.get("kind") == "supernet":
        supernet = load_supernet(path, job.device)
        arch = largest(supernet.space)
        search, augmentation = job.experiment.search, job.experiment.supernet.recipe.augment
        batches = calibration_batches(images, size, job.device, search, augmentation, job.seed)
        network = calibrate(supernet.extract(arch), batches)
    else:
        network, _ = load_network(path, job.device)
    network.to(job.device).eval().requires_grad_(False)
    return _with_classifier(Teacher(network), path, images, size, job) if config.logits else Teacher(network)


def teacher_sha256(config: DistillationConfig) -> dict[str, str]:
    """The digests to record for a student's teachers, whose folders may be trained again; several are joined in one
    string. Empty if there is no teacher, or if one is missing."""
    try:
        digests = [sha256(_weights(name)) for name in config.teachers]
    except (UserError, FileNotFoundError):
        return {}
    return {TEACHER_SHA256: ", ".join(digests)} if digests else {}


def doubts(config: DistillationConfig, source: Source, data: DataConfig) -> list[str]:
    """Warnings about teachers of a supernet that may have seen the persons that ``data`` holds out, on whom a search
    scores."""
    unknown = "it may have seen the held-out identities that a search scores on"
    return [f"teacher {name}: {unknown}" for name in unsure_of(config.teachers, source, data)]


def _weights(teacher: str) -> Path:
    try:
        path = network_file(teacher, supernet=True)
    except UserError as error:
        raise UserError(f"losses.distillation.teacher: {error}") from None
    if path.suffix in (".onnx", ".npz"):
        raise UserError(
            f"losses.distillation.teacher: {path} is not a PyTorch network; give the run folder that it was made from"
        )
    return path


def _with_classifier(teacher: Teacher, weights: Path, images: ImageSet, size: tuple[int, int], job: Job) -> Teacher:
    path = weights.parent / CLASSIFIER
    if not path.exists():
        return teacher
    if weights.name != WEIGHTS:
        raise UserError(
            f"teacher {weights}: {CLASSIFIER} next to it belongs to {WEIGHTS}; give that, or set "
            "losses.distillation.logits=0"
        )
    about = read_about(path)
    if about.get("weights_sha256", (digest := sha256(weights))) != digest:
        raise UserError(
            f"teacher {weights}: {CLASSIFIER} next to it was trained with other weights; restore those, or set "
            "losses.distillation.logits=0"
        )
    if about.get("identities") != _fingerprint(torch.unique(images.pids)):
        raise UserError(
            f"teacher {weights}: was trained on other identities than the student; its logits cannot be distilled; "
            "use losses.distillation.similarity or .embedding"
        )
    head, count = teacher.network.head, about.get("branches", 1)
    if count != speakers(head.rule, len(head.part_dims)):
        raise UserError(
            f"teacher {weights}: {CLASSIFIER} next to it is only of its first stripe, as earlier versions wrote it; "
            "train it again, or set losses.distillation.logits=0"
        )
    kind = CosineClassifier if about["cosine"] else Classifier
    classifiers = nn.ModuleList(kind(about["dim"], about["classes"]) for _ in range(count))
    load_weights(path, _as_file(classifiers))
    classifiers.to(job.device).eval().requires_grad_(False)
    teacher = replace(teacher, classifiers=tuple(classifiers), scale=about["scale"])
    own = _fingerprint(images.pids)
    if about.get("images", own) != own:
        _check_knows(teacher, weights, images, size, job)
    return teacher


def _check_knows(teacher: Teacher, weights: Path, images: ImageSet, size: tuple[int, int], job: Job) -> None:
    """Raises UserError if a teacher trained on other images knows too few of the student's: its accuracy on them must
    be at least halfway from chance to 1. Data sets all number persons from 1, so equal numbers may be other persons."""
    labels, classes = images.labels()
    index = torch.linspace(0, len(labels) - 1, min(LOOKED_AT, len(labels))).long()
    right = 0
    for part in index.split(64):
        _, logits = teacher(prepare(images.images[part].to(job.device), size), nullcontext)
        right += int((logits.argmax(1).cpu() == labels[part]).sum())
    share = right / len(index)
    if share < (1 + 1 / classes) / 2:
        raise UserError(
            f"teacher {weights}: recognises {100 * share:.0f} % of the student's training images: its {classes} "
            "identities have the same numbers but are other persons; its logits cannot be distilled; use "
            "losses.distillation.similarity or .embedding"
        )


def _fingerprint(pids: torch.Tensor) -> str:
    """A hash of identity numbers in order: of all training identities (class labels follow them), or image by image."""
    return hashlib.sha256(",".join(map(str, pids.tolist())).encode()).hexdigest()[:16]

"""The job of ``tools/evaluate.py``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from evaluation.comparison.row import RESULT, SCORE
from evaluation.features.files import load_features
from evaluation.protocols import Protocol, evaluate_features
from evaluation.retrieval.labeled_features import RetrievalFeatures
from reid.data.datasets.registry import DatasetConfig
from reid.engine.machine.device import describe_device
from reid.engine.runs.run_folder import WEIGHTS, taken
from reid.errors import UserError
from supernet.trained import network_file
from supernet.trained.checkpoint import load_network, load_supernet
from tools.jobs.bn_calibration import CALIBRATION, calibrated_by
from tools.jobs.data import Source, search_data
from tools.jobs.evaluate.calibration import calibration, check_choice
from tools.jobs.evaluate.checkpoints import (
    arch_of,
    check_arch,
    check_weights,
    inherited,
    row_name,
)
from tools.jobs.evaluate.datasets import check_tested, open_test_sets
from tools.jobs.evaluate.known_training import KnownTraining, training_of
from tools.jobs.evaluate.result import Wanted, measure, score_on_test, write_scores
from tools.jobs.evaluate.subject import onnx_subject
from tools.jobs.experiment import DataConfig
from tools.jobs.job import Job
from tools.jobs.paths import check_file, shown
from tools.jobs.runs.data import trained_on
from tools.jobs.runs.exported import exported_from
from tools.jobs.runs.lineage import lineage
from tools.jobs.runs.ownership import REPLACE, alone, check_owner
from tools.jobs.runs.provenance import sha256
from tools.jobs.runs.strangers import never_saw
from tools.jobs.runs.trained_images import persons_trained_on
from tools.jobs.words.opening import announce


@dataclass(frozen=True)
class Request:
    """What to evaluate on, and how.

    Attributes:
        protocol: see ``Protocol``.
        dataset: name of a data set other than the config's; see ``tools.jobs.evaluate.datasets``.
        split: of that data set: a number or ``all``.
        calibrate: what the threshold is set on; see ``tools.jobs.evaluate.calibration``.
        save_features: a feature file to write.
        projector: whether to write the gallery for TensorBoard's embedding projector.
    """

    protocol: Protocol = Protocol()
    dataset: str | None = None
    split: str | None = None
    calibrate: str = "auto"
    save_features: Path | None = None
    projector: bool = False


@alone
def evaluate(job: Job, subject: Path, arch: str | None, search: Path, request: Request = Request()) -> Path:
    """Scores ``subject`` and returns the run folder. It may be a network (or ``arch`` of a supernet) in a checkpoint or
    run folder, a name of the zoo, an ``.onnx`` network, or saved features (``.npz``). With ``job.resume`` an earlier
    evaluation in the folder is replaced once the new scores exist, and files that the new one lacks are removed.

    Raises:
        UserError: the file is unreadable or of another kind, or the run folder already holds a result.
    """
    check_owner(job.out, own=SCORE)
    for name in (RESULT, SCORE):
        if (job.out / name).exists() and not job.resume:
            raise taken(job.out, "a result", REPLACE)
    for option, given in (("--save-features", request.save_features is not None), ("--projector", request.projector)):
        if given and request.split == "all":
            raise UserError(
                f"{option}: with --split all there would be features of several splits; give the number of one split"
            )
    if request.save_features is not None:
        if request.save_features.suffix != ".npz":
            raise UserError(f"--save-features {request.save_features}: must end in .npz")
        check_file(request.save_features, "--save-features")
        if request.save_features.exists() and not job.resume:
            there = f"--save-features {request.save_features}: already exists"
            raise UserError(f"{there}; name another file, or replace it with --replace")
    subject = network_file(subject, supernet=arch is not None, by_arch=True)
    check_weights(job.out, subject)
    check_choice(request.calibrate, saved=subject.suffix == ".npz", several=request.split == "all")
    if arch is not None and subject.suffix in (".npz", ".onnx"):
        raise UserError(f"{subject}: --arch is only for supernets; leave it out")
    if subject.suffix == ".npz":
        _saved_features(job, subject, request)
    elif subject.suffix == ".onnx":
        _onnx(job, subject, request)
    else:
        _checkpoint(job, subject, arch, search, request)
    weights = job.out / WEIGHTS
    if arch is None and weights.is_file() and not weights.samefile(subject):
        weights.unlink()  # left by an arch evaluated here before
    return job.out


def _saved_features(job: Job, path: Path, request: Request) -> None:
    for option, given in (
        ("--dataset", request.dataset is not None),
        ("--split", request.split is not None),
        ("--flip", request.protocol.flip),
        ("--precision", request.protocol.precision != "fp32"),
    ):
        if given:
            raise UserError(f"{option}: {path} already contains features; leave the option out")
    features, wanted = load_features(path), _wanted(job, request, unseen=False)
    made = {key: features.about[key] for key in ("flip", "precision") if key in features.about}
    try:
        protocol = dataclasses.replace(request.protocol, **made)
    except ValueError:
        raise UserError(
            f"feature file {path}: about has an unknown flip or precision ({made}); save the features again"
        ) from None
    held = calibration(request.calibrate, features)
    counts = f"{len(features.query)} queries, {len(features.gallery)} gallery images"
    data = features.about.get("data", "not told")
    facts = [("note", _nobody(features)), ("data", f"{data}: {counts}"), ("network", features.about.get("network"))]
    announce(f"evaluating {shown(path)}", facts)
    write_scores(job.out, evaluate_features(features, protocol, held, progress=True), features, wanted)


def _nobody(features: RetrievalFeatures) -> str | None:
    """A note on queries whose number stands for no person, for example because persons are numbered from 0."""
    nobody = {*features.rule.distractor_pids, *features.rule.junk_pids} & set(features.query.pids.tolist())
    if not nobody:
        return None
    numbers = " and ".join(map(str, sorted(nobody)))
    return (
        f"queries of identity {numbers} match nothing, as these numbers mean distractors or junk; if they are persons, "
        "give the file a rule that says so (docs/evaluation.md, Feature files)"
    )


def _onnx(job: Job, path: Path, request: Request) -> None:
    subject = onnx_subject(path, job.device, job.experiment.input_size, request.protocol)
    weights = exported_from(path, subject.about.get("exported_from_sha256"))
    trained = trained_on(weights) if weights else None
    sources = _open(job, request, subject.input_size, trained)
    if weights:
        check_tested(weights.parent, sources)
    _announce(path, sources, job.device, _doubts(request, trained))
    wanted = _wanted(job, request, unseen=False)
    evaluation, features = measure(subject, sources, wanted)
    write_scores(job.out, evaluation, features, wanted)


def _checkpoint(job: Job, path: Path, arch: str | None, search: Path, request: Request) -> None:
    check_arch(path, arch)
    about = {"weights": shown(path), "weights_sha256": sha256(path)}
    trained = trained_on(path, supernet=arch is not None)
    doubts = _doubts(request, trained)
    if arch is None:
        network, spec = load_network(path, job.device)
        sources = _open(job, request, spec.input_size, trained)
        check_tested(path.parent, sources)
        _announce(path, sources, job.device, doubts)
        kind, training = "checkpoint", training_of(path, f"see {path.parent}")
    else:
        supernet = load_supernet(path, job.device)
        spec = arch_of(supernet.space, arch, search)
        sources = _open(job, request, spec.input_size, trained)
        check_tested(path.parent, sources)
        _announce(path, sources, job.device, doubts)
        network, train_set = inherited(job, supernet, spec)
        note = "weights inherited from the supernet, BN calibrated, not retrained"
        kind, training = "supernet", KnownTraining(train_set, seed=job.seed, notes=(note,))
        about |= {CALIBRATION: calibrated_by(job.experiment, job.seed)}
    wanted = _wanted(job, request, _unseen(path.parent, sources[0], job.experiment.data, arch is not None))
    score_on_test(
        network,
        spec,
        sources,
        job.device,
        job.out,
        kind=kind,
        name=row_name(path, spec),
        training=training,
        wanted=wanted,
        about=about,
        keep=arch is not None,
    )


def _unseen(run: Path, source: Source, config: DataConfig, supernet: bool) -> bool:
    """Whether the network and all that contributed to it are known, by settings and recorded images, never to have seen
    the held-out persons."""
    if not never_saw(run, source, config, supernet):
        return False
    try:
        held = search_data(source, config)
    except UserError:  # there are none; a request for them is reported elsewhere
        return True
    return not any(persons_trained_on(each, held.query, held.gallery) for each in (run, *lineage(run)))


def _wanted(job: Job, request: Request, unseen: bool) -> Wanted:
    return Wanted(
        request.protocol,
        request.calibrate,
        job.experiment.data,
        unseen,
        request.save_features,
        request.projector,
        page=True,
    )


def _open(job: Job, request: Request, size: tuple[int, int], trained: Sequence[DatasetConfig] | None) -> list[Source]:
    return open_test_sets(request.dataset, request.split, job.experiment.data, job.data, size, trained)


def _doubts(request: Request, trained: Sequence[DatasetConfig] | None) -> str | None:
    """A note for splits other than the default one, if it is unknown what the network was trained on."""
    if request.split is None or trained is not None:
        return None
    return "it is not known what the network was trained on; it may have been trained on persons tested here"


def _announce(path: Path, sources: Sequence[Source], device: torch.device, doubts: str | None) -> None:
    source = sources[0]
    words = source.dataset.name if len(sources) == 1 else f"{source.dataset.name} and {len(sources) - 1} more splits"
    announce(
        f"evaluating {shown(path)}",
        [("note", source.notice), ("note", doubts), ("data", words), ("device", describe_device(device))],
    )

"""The final evaluation of a network on the official query and gallery, and its result files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from evaluation.comparison.printed import comparison_table
from evaluation.comparison.row import RESULT, SCORE, ResultRow, write_result
from evaluation.features.files import save_features
from evaluation.pictures.roc import draw_roc
from evaluation.protocols import Calibration, Evaluation, Protocol, evaluate_features
from evaluation.report.evaluation import write_evaluation_report
from evaluation.report.html import REPORT
from evaluation.retrieval.labeled_features import RetrievalFeatures
from evaluation.score_table import score_table
from evaluation.splits import mean_evaluation
from reid.engine.runs.checkpoint import save_weights
from reid.engine.runs.run_folder import WEIGHTS
from reid.files import write_json
from reid.models.network import ReidNetwork, count_parameters
from search.costs import network_flops
from search.latency import measure_latency
from supernet.catalog import NetworkSpec, spec_to_dict
from tools.jobs.data import Source
from tools.jobs.evaluate.calibration import calibration, held_out
from tools.jobs.evaluate.known_training import KnownTraining
from tools.jobs.evaluate.subject import Subject, features_on_test, network_subject
from tools.jobs.evaluate.tensorboard import show_gallery, write_scalars
from tools.jobs.experiment import DataConfig
from tools.jobs.runs.provenance import command, commit, made_by

ROC = "roc.png"


@dataclass(frozen=True)
class Wanted:
    """The requested evaluation.

    Attributes:
        protocol: see ``Protocol``.
        calibrate: see ``tools.jobs.evaluate.calibration.calibration``.
        config: defines the held-out identities on which a threshold is set.
        unseen: whether the network is known not to have been trained on them.
        save_features: a feature file to write.
        projector: whether to write the gallery for TensorBoard's embedding projector.
        page: whether to write ``report.html``, in an evaluation's own folder; a training's page shows its evaluation
            itself.
    """

    protocol: Protocol = Protocol(verification=False)
    calibrate: str = "none"
    config: DataConfig = DataConfig()
    unseen: bool = False
    save_features: Path | None = None
    projector: bool = False
    page: bool = False


def score_on_test(
    network: ReidNetwork,
    spec: NetworkSpec,
    sources: Sequence[Source],
    device: torch.device,
    run: Path,
    *,
    kind: str,
    name: str,
    training: KnownTraining,
    wanted: Wanted = Wanted(),
    about: dict | None = None,
    keep: bool = False,
) -> ResultRow:
    """Scores ``network``, writes ``result.json`` and ``score.json`` into ``run``, and prints the scores and the row.

    Args:
        sources: a data set, or several splits of one, over which scores are averaged.
        kind, name: of the row.
        training: the row's facts about the training.
        about: stored with the features.
        keep: whether to write the network beside its scores.

    Raises:
        UserError: see ``measure``.
    """
    subject = network_subject(network, spec, device, about)
    evaluation, features = measure(subject, sources, wanted)
    if keep:
        save_weights(run / WEIGHTS, network, spec_to_dict(spec))
    size = spec.input_size
    row = ResultRow(
        name=name,
        kind=kind,
        mAP=evaluation.score.mAP,
        rank1=evaluation.score.rank1,
        # fvcore traces on the CPU; the count is independent of the weights.
        flops=network_flops(network.cpu().eval(), size),
        parameters=count_parameters(network),
        latency_ms=measure_latency([(network, size)], torch.device("cpu"))[0],
        epochs=training.epochs,
        seed=training.seed,
        input_size=size,
        train_set=training.train_set,
        run=str(run),
        test_set=_test_set(sources, features, evaluation.protocol),
        recipe=training.recipe,
        notes=training.notes,
    )
    write_scores(run, evaluation, features, wanted, training.epochs, row)
    write_result(run, row)
    print(comparison_table([row]))
    return row


def measure(subject: Subject, sources: Sequence[Source], wanted: Wanted) -> tuple[Evaluation, RetrievalFeatures]:
    """The evaluation of a network, and its features. For several splits, the scores are averaged, and the features are
    the first split's, with a note that there are others.

    Raises:
        UserError: see ``evaluation.protocols.evaluate_features``.
    """
    protocol, several = wanted.protocol, len(sources) > 1
    if several:
        protocol = dataclasses.replace(protocol, verification=False)
    first, evaluations = None, []
    for source in sources:
        choice = "none" if several else wanted.calibrate
        held = held_out(choice, subject, source, wanted.config, protocol, wanted.unseen)
        features = features_on_test(subject, source, protocol)
        first = first or features
        held = calibration(choice, features, held)
        evaluations.append(evaluate_features(features.to(subject.device), protocol, _on(held, subject.device), True))
    if several:
        first = dataclasses.replace(first, about={**first.about, "data": _splits(sources)})
    return mean_evaluation(evaluations), first


def write_scores(
    run: Path,
    evaluation: Evaluation,
    features: RetrievalFeatures,
    wanted: Wanted,
    step: int = 0,
    row: ResultRow | None = None,
) -> None:
    """Prints the scores; writes ``score.json``, TensorBoard's events and whatever else is ``wanted``. An earlier
    evaluation's row and ROC are removed if this one has none, and with ``wanted.page`` so are its events.

    ``row`` is the network's result, if FLOPs and parameters are known; the page shows it.
    """
    print(score_table(evaluation))
    data = {**evaluation.as_dict(), "about": dict(features.about), "command": command(), "commit": commit()}
    for key in {"flip", "precision"} - set(features.about):  # unknown for features from elsewhere
        del data["protocol"][key]
    for name, made in ((RESULT, row), (ROC, evaluation.roc)):
        if made is None:
            (run / name).unlink(missing_ok=True)
    write_scalars(run, evaluation, step, anew=wanted.page)
    roc = None if evaluation.roc is None else draw_roc(evaluation.roc, run / ROC)
    if wanted.page:
        write_evaluation_report(run / REPORT, evaluation, features.about, row, roc, made_by())
    if wanted.save_features is not None:
        save_features(wanted.save_features, features)
    if wanted.projector:
        show_gallery(run, features)
    write_json(run / SCORE, data)  # last: if it exists, so do all other files


def _test_set(sources: Sequence[Source], features: RetrievalFeatures, protocol: Protocol) -> str:
    """A description of the test data with everything that makes results incomparable."""
    name = sources[0].dataset.name
    words = f"{name}: {len(features.query)} queries, {len(features.gallery)} gallery images"
    if len(sources) > 1:
        words = _splits(sources)
    if sources[0].world:
        words += f", {sources[0].world}"
    if protocol.flip:
        words += ", mean with the mirror image"
    if protocol.metric != "cosine":
        words += f", {protocol.metric} distance"
    if protocol.precision != "fp32":
        words += f", features in {protocol.precision}"
    return words


def _splits(sources: Sequence[Source]) -> str:
    return f"{sources[0].dataset.name} and its other splits, {len(sources)} together"


def _on(held: Calibration | None, device: torch.device) -> Calibration | None:
    if held is None:
        return None
    test = held.test and held.test.to(device)
    return dataclasses.replace(held, features=held.features.to(device), test=test)

"""One evaluation: everything computed from the features of a query and a gallery, and the rules used."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from evaluation.features.spread import hardly_differ
from evaluation.reranking import ReRanking, rerank_blocks
from evaluation.retrieval.labeled_features import LabeledFeatures, RetrievalFeatures
from evaluation.retrieval.metrics import score_blocks, score_features
from evaluation.retrieval.rules import RECORDS
from evaluation.retrieval.scores import ReidScore
from evaluation.retrieval.single_shot import SingleShotScore, single_shot_score
from evaluation.threshold import Threshold, ThresholdRates, apply_threshold, calibrate_threshold
from evaluation.verification import Roc, VerificationScore, receiver_curve, verification_score
from reid.config import STRICT, config_to_dict
from reid.data.records import Dataset, ImageSet
from reid.errors import UserError


@dataclass(frozen=True, config=STRICT)
class Protocol:
    """How features are made and compared.

    Attributes:
        metric: cosine distance ``1 - cos``, or Euclidean distance.
        flip: the mean of the features of an image and of its mirror image.
        precision: of the network's computation.
        rerank: also score a k-reciprocal re-ranking.
        verification: also compute the ROC of all pairs.
        false_match_rate: rate for which a threshold is set.
    """

    metric: Literal["cosine", "euclidean"] = "cosine"
    flip: bool = False
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    rerank: ReRanking | None = None
    verification: bool = True
    false_match_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-3


@plain_dataclass(frozen=True, eq=False)
class Calibration:
    """The data that a threshold is set on, and measured on.

    Attributes:
        features: of identities that the network was not trained on.
        words: whose features they are.
        test: features to measure it on; None for all that are evaluated.
    """

    features: RetrievalFeatures
    words: str
    test: RetrievalFeatures | None = None


@plain_dataclass(frozen=True, eq=False)
class Evaluation:
    """Attributes:
    protocol: as requested.
    score: of the retrieval.
    reranked: of the re-ranked retrieval.
    single_shot: CMC with one gallery image per person, where that is the data set's protocol.
    roc, verification: of all pairs by their distance; re-ranking does not touch them.
    threshold, threshold_rates: set on held-out identities, and its rates on the test set.
    rules: how the scores were computed, a line each.
    notes: what could not be computed, and why.
    """

    protocol: Protocol
    score: ReidScore
    reranked: ReidScore | None
    single_shot: SingleShotScore | None
    roc: Roc | None
    verification: VerificationScore | None
    threshold: Threshold | None
    threshold_rates: ThresholdRates | None
    rules: tuple[str, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the score's fields at the top level, all other results nested."""
        data: dict[str, Any] = {**self.score.as_dict(), "protocol": config_to_dict(self.protocol)}
        for name in ("reranked", "single_shot", "verification"):
            value = getattr(self, name)
            if value is not None:
                data[name] = value.as_dict()
        if self.roc is not None:
            data["verification"]["roc"] = self.roc.sampled()
        if self.threshold is not None:
            data["threshold"] = {**asdict(self.threshold), "test": asdict(self.threshold_rates)}
        return {**data, "rules": list(self.rules), "notes": list(self.notes)}


def retrieval_features(
    dataset: Dataset, query: ImageSet, gallery: ImageSet, features: Sequence[torch.Tensor], about: dict[str, Any]
) -> RetrievalFeatures:
    """Features ``(Q, D)`` and ``(G, D)`` of a data set's images, with its labels and the facts of its protocol."""
    shared = {record.path for record in dataset.query} & {record.path for record in dataset.gallery}
    names = _names(dataset) if shared else (None, None)
    sides = [
        LabeledFeatures(values, images.pids, images.camids, ids)
        for values, images, ids in zip(features, (query, gallery), names, strict=True)
    ]
    return RetrievalFeatures(*sides, RECORDS, dataset.single_gallery_shot, about)


def evaluate_features(
    features: RetrievalFeatures, protocol: Protocol, calibration: Calibration | None = None, progress: bool = False
) -> Evaluation:
    """Computes everything that ``protocol`` asks for, and a threshold if there is a ``calibration``.

    Junk is removed from the gallery before re-ranking, as in programs that never read it (torchreid, fast-reid).

    Raises:
        UserError: as ``evaluation.retrieval.metrics.score_features``.
    """
    query, gallery, metric = features.query, features.gallery, protocol.metric
    score = score_features(
        query.features,
        query.pids,
        query.camids,
        gallery.features,
        gallery.pids,
        gallery.camids,
        metric,
        rule=features.rule,
        query_ids=query.ids,
        gallery_ids=gallery.ids,
    )
    notes = hardly_differ(gallery.features)
    reranked = _reranked(features, protocol, progress) if protocol.rerank else None
    single = single_shot_score(features, metric) if features.single_gallery_shot else None
    roc = verification = threshold = rates = None
    if protocol.verification:
        try:
            roc = receiver_curve(features, metric)
            verification = verification_score(roc)
        except UserError as error:
            notes.append(f"no ROC: {error}")
    if calibration is not None:
        try:
            threshold = calibrate_threshold(calibration.features, protocol.false_match_rate, metric)
            rates = apply_threshold(calibration.test or features, threshold)
        except UserError as error:
            threshold = None
            notes.append(f"no threshold: {error}")
    rules = _rules(features, protocol, calibration if threshold else None)
    return Evaluation(protocol, score, reranked, single, roc, verification, threshold, rates, rules, tuple(notes))


def passed_over(features: RetrievalFeatures) -> tuple[str, ...]:
    """Which images of its own identity a query is not ranked against, in words; empty if it is ranked against all."""
    rule = features.rule
    known = ~np.isin(features.query.camids.numpy(), rule.unknown_camids)
    camera = ("images of the query's identity at its own camera",) if rule.same_camera_is_junk and known.any() else ()
    return (*camera, *(("the query's own image",) if features.query.ids is not None else ()))


def _reranked(features: RetrievalFeatures, protocol: Protocol, progress: bool) -> ReidScore:
    query, gallery, rule = features.query, features.gallery, features.rule
    junk = torch.isin(gallery.pids, gallery.pids.new_tensor(rule.junk_pids))
    if junk.any():
        gallery = gallery.select(~junk)
    blocks = rerank_blocks(query.features, gallery.features, protocol.rerank, protocol.metric, progress)
    labels = (query.pids, query.camids, gallery.pids, gallery.camids)
    return score_blocks(blocks, *labels, rule=rule, query_ids=query.ids, gallery_ids=gallery.ids)


def _rules(features: RetrievalFeatures, protocol: Protocol, calibration: Calibration | None) -> tuple[str, ...]:
    rule = features.rule
    distance = {"cosine": "cosine distance, 1 - cos", "euclidean": "Euclidean distance"}[protocol.metric]
    passed = [*passed_over(features), *(f"identity {pid}" for pid in rule.junk_pids)]
    wrong = f"; always wrong: identity {', '.join(map(str, rule.distractor_pids))}" if rule.distractor_pids else ""
    lines = [
        f"{distance}; features {_made(features.about)}",
        f"passed over: {', '.join(passed) or 'nothing'}{wrong}",
        "left out of every mean, and counted: queries without a right answer in the gallery",
    ]
    if protocol.rerank is not None:
        rerank = protocol.rerank
        lines.append(f"re-ranked: k-reciprocal, k1 {rerank.k1}, k2 {rerank.k2}, lambda {rerank.weight:g}")
    if calibration is not None:
        lines.append(f"threshold set on {calibration.words}")
    return tuple(lines)


def _made(about: Mapping[str, Any]) -> str:
    """How the features were made, in words, as far as is known: a feature file may come from another program."""
    told = []
    if "flip" in about:
        told.append("averaged with the mirror image" if about["flip"] else "of the image as it is")
    if "precision" in about:
        told.append(about["precision"] if told else f"in {about['precision']}")
    return ", ".join(told) or "as given; how they were made is not recorded"


def _names(dataset: Dataset) -> list[np.ndarray]:
    """Paths of queries and gallery relative to their common folder, so that files reveal nothing of the machine."""
    sides = [[record.path for record in records] for records in (dataset.query, dataset.gallery)]
    folder = os.path.commonpath([os.path.dirname(path) for side in sides for path in side])
    return [np.array([os.path.relpath(path, folder) for path in side]) for side in sides]

"""This framework's results for a case, in the form that ``check`` reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from evaluation.reranking import rerank_distances
from evaluation.retrieval.labeled_features import LabeledFeatures, RetrievalFeatures
from evaluation.retrieval.lists import query_scores
from evaluation.retrieval.metrics import score_features
from evaluation.retrieval.single_shot import single_shot_score
from evaluation.threshold import calibrate_threshold
from evaluation.vectors.case import Case, Side
from evaluation.vectors.expected import PER_QUERY
from evaluation.verification import receiver_curve, verification_score
from reid.data.records import NO_CAMERA


def our_results(case: Case) -> dict[str, Any]:
    """Like ``evaluation.vectors.expected.expected_results``, but by the code that evaluates networks."""
    features = retrieval_features(case)
    query, gallery = features.query, features.gallery
    roc = receiver_curve(features, case.metric)
    rates = {rate: float(rate) for rate in case.false_match_rates}
    told = verification_score(roc, tuple(rates.values()))
    threshold = calibrate_threshold(features, float(case.threshold_rate), case.metric)
    results: dict[str, Any] = {
        "per_query": _per_query(features, case.metric),
        "scores": score_features(
            *(query.features, query.pids, query.camids, gallery.features, gallery.pids, gallery.camids, case.metric),
            **{"rule": case.rule, "query_ids": query.ids, "gallery_ids": gallery.ids},
        ).as_dict(),
        "verification": {
            **{name: getattr(told, name) for name in ("genuine", "impostors", "eer", "auc")},
            "tpr_at_fmr": {name: told.tpr_at_fmr[rate] for name, rate in rates.items()},
        },
        "threshold": {name: getattr(threshold, name) for name in ("distance", "fmr", "tpr")},
    }
    if case.single_gallery_shot:
        results["single_shot"] = single_shot_score(features, case.metric).as_dict()
    if case.reranking:
        ranked = gallery.features[case.ranked()]
        results["reranked"] = {
            name: rerank_distances(query.features, ranked, config, case.metric).tolist()
            for name, config in case.reranking.items()
        }
    return results


def retrieval_features(case: Case) -> RetrievalFeatures:
    """The case's input as the evaluation takes it."""
    return RetrievalFeatures(_side(case.query), _side(case.gallery), case.rule, case.single_gallery_shot)


def _side(side: Side) -> LabeledFeatures:
    pids = torch.tensor(side.pids)
    camids = torch.full_like(pids, NO_CAMERA) if side.camids is None else torch.tensor(side.camids)
    ids = None if side.ids is None else np.array(side.ids)
    return LabeledFeatures(torch.tensor(side.features, dtype=torch.float32), pids, camids, ids)


def _per_query(features: RetrievalFeatures, metric: str) -> dict[str, list]:
    scores = query_scores(features, metric)
    columns: dict[str, list] = {name: [None] * len(features.query) for name in PER_QUERY}
    for name, column in columns.items():
        for query, value in zip(scores.counted.tolist(), getattr(scores, name).tolist(), strict=True):
            column[query] = value
    return columns

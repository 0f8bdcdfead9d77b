"""What an evaluation joins: each part against a direct call or a plain loop."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.features.spread import MOST, hardly_differ
from evaluation.pictures.roc import draw_roc
from evaluation.protocols import Calibration, Protocol, evaluate_features, retrieval_features
from evaluation.reranking import ReRanking, rerank_distances
from evaluation.retrieval.labeled_features import LabeledFeatures, RetrievalFeatures
from evaluation.retrieval.metrics import score_distances, score_features
from evaluation.retrieval.rules import RECORDS
from evaluation.score_table import score_table
from evaluation.splits import mean_evaluation
from evaluation.threshold import apply_threshold, calibrate_threshold
from evaluation.verification import receiver_curve, verification_score
from reid.data.records import Dataset, ImageRecord, ImageSet
from reid.errors import UserError


def persons(seed: int, first: int = 1, cameras: bool = True) -> RetrievalFeatures:
    """Twelve persons of whom some are hard to tell apart, five distractors and four junk images."""
    random = torch.Generator().manual_seed(seed)
    centers = torch.randn(12, 8, generator=random)
    sides = []
    for repeats, strangers in ((2, ()), (5, (0,) * 5 + (-1,) * 4)):
        pids = torch.arange(12).repeat(repeats)
        values = torch.cat([centers[pids], torch.zeros(len(strangers), 8)])
        values += 0.7 * torch.randn(values.shape, generator=random)
        camids = torch.randint(1, 4, (len(values),), generator=random) if cameras else torch.zeros(len(values)).long()
        sides.append(LabeledFeatures(values, torch.cat([pids + first, torch.tensor(strangers).long()]), camids))
    return RetrievalFeatures(*sides, RECORDS)


def labels(features: RetrievalFeatures) -> tuple[torch.Tensor, ...]:
    return features.query.pids, features.query.camids, features.gallery.pids, features.gallery.camids


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_parts_are_what_they_are_alone(metric):
    features, held = persons(0), persons(1, first=101)
    rerank = ReRanking(5, 2, 0.4)
    protocol = Protocol(metric=metric, rerank=rerank, false_match_rate=0.02)
    found = evaluate_features(features, protocol, Calibration(held, "others"))
    query, gallery = features.query, features.gallery
    q, qc, g, gc = labels(features)
    assert found.score == score_features(query.features, q, qc, gallery.features, g, gc, metric=metric, rule=RECORDS)
    # Junk is out of the gallery before neighbours are looked for.
    kept = g != -1
    distances = rerank_distances(query.features, gallery.features[kept], rerank, metric)
    assert found.reranked == score_distances(distances, q, qc, g[kept], gc[kept], rule=RECORDS)
    assert found.reranked != found.score
    assert found.verification == verification_score(receiver_curve(features, metric))
    assert found.threshold == calibrate_threshold(held, 0.02, metric)
    assert found.threshold_rates == apply_threshold(features, found.threshold)
    assert found.single_shot is None and found.notes == ()


def test_json_and_table_name_both_aps_the_step_first():
    protocol = Protocol(rerank=ReRanking(), false_match_rate=0.02)
    found = evaluate_features(persons(0), protocol, Calibration(persons(1), "12 others"))
    data = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert {**data, **found.score.as_dict()} == data
    assert list(data)[:2] == ["mAP", "mAP_trapezoid"] == list(data["reranked"])[:2]
    assert data["protocol"]["rerank"] == {"k1": 20, "k2": 6, "weight": 0.3}
    assert data["threshold"]["test"]["fmr"] == found.threshold_rates.fmr
    roc = data["verification"]["roc"]
    assert roc["fmr"][-1] == roc["tpr"][-1] == 1 and roc["tpr"] == sorted(roc["tpr"])
    lines = score_table(found).splitlines()
    assert lines[0].split() == ["retrieval", "re-ranked"]
    assert lines[1].split() == [
        *"mAP (step)".split(),
        f"{100 * found.score.mAP:.1f}",
        "%",
        *_percent(found.reranked.mAP),
    ]
    assert lines[2].startswith("mAP (trapezoid)") and lines[7].startswith("mINP")
    text = "\n".join(lines)
    for words in ("cosine distance, 1 - cos", "k1 20, k2 6, lambda 0.3", "left out of every mean", "12 others"):
        assert words in text
    assert f"distance of {found.threshold.distance:.4g}" in text


def _percent(share: float) -> list[str]:
    return [f"{100 * share:.1f}", "%"]


def test_without_cameras_nothing_is_passed_over_for_its_camera():
    features = persons(2, cameras=False)
    found = evaluate_features(features, Protocol())
    every = [torch.full_like(side.pids, camera) for camera, side in enumerate((features.query, features.gallery))]
    q, _, g, _ = labels(features)
    assert found.score == score_features(features.query.features, q, every[0], features.gallery.features, g, every[1])
    assert found.rules[1] == "passed over: identity -1; always wrong: identity 0"
    with_cameras = evaluate_features(persons(2), Protocol())
    assert "images of the query's identity at its own camera" in with_cameras.rules[1]


def test_a_query_does_not_find_itself_where_both_sides_share_images():
    """Classic CUHK03: each test image is query and gallery."""
    random = torch.Generator().manual_seed(0)
    pids = torch.tensor([1, 1, 2, 2, 3, 3])
    records = tuple(ImageRecord(f"/set/{n}.png", int(pid), 0) for n, pid in enumerate(pids))
    images = ImageSet(torch.zeros(6, 2, 2, 3, dtype=torch.uint8), pids, torch.zeros(6).long())
    values = torch.randn(6, 3, generator=random)
    dataset = Dataset("own", (), records, records, has_cameras=False, single_gallery_shot=True)
    features = retrieval_features(dataset, images, images, [values, values], {"network": "x"})
    assert features.query.ids.tolist() == [f"{n}.png" for n in range(6)] and features.about == {"network": "x"}
    found = evaluate_features(features, Protocol())
    assert found.score.mAP < 1, "the image itself would be a perfect answer"
    assert found.single_shot.queries == 6 and found.roc.genuine == 6
    apart = dataclasses.replace(dataset, gallery=tuple(dataclasses.replace(r, path=r.path + "g") for r in records))
    assert retrieval_features(apart, images, images, [values, values], {}).query.ids is None


def test_vectors_that_hardly_differ_are_said():
    """Ranks can still be read from them, and a score near chance has no other sign."""
    sound = persons(0)
    assert evaluate_features(sound, Protocol()).notes == ()
    sides = [dataclasses.replace(side, features=side.features * 1e-3 + 1) for side in (sound.query, sound.gallery)]
    found = evaluate_features(dataclasses.replace(sound, query=sides[0], gallery=sides[1]), Protocol())
    assert [note.partition(" (")[0] for note in found.notes] == ["the vectors hardly differ"]


def test_the_spread_that_is_said_is_the_doctors():
    """By hand: as unit vectors (1, t) and (1, -t) spread by 0 and by t, in the mean by t / 2, of 1 / sqrt(2)."""

    def said(t: float, count: int = 2) -> list[str]:
        return hardly_differ(5 * torch.tensor([[1, t], [1, -t]]).repeat(count // 2, 1))

    assert "(spread 0.0057 of 1)" in said(0.008)[0]
    assert said(0.0145) == [] and hardly_differ(torch.ones(1, 2)) == []


def test_of_many_vectors_some_are_looked_at():
    many = torch.tensor([[1, 0.004], [1, -0.004]]).repeat(3 * MOST // 2, 1)
    many[1::3] = many[2::3] = torch.tensor([-1.0, 0.0])  # every third is one of those that hardly differ
    assert hardly_differ(many[: 3 * MOST])
    assert hardly_differ(many[: 2 * MOST]) == [], "now every second"
    assert hardly_differ(many[: 2 * MOST - 1]) == [], "now every one"


def test_what_cannot_be_computed_is_said():
    one = LabeledFeatures(torch.eye(2), torch.tensor([1, 1]), torch.tensor([1, 2]))
    found = evaluate_features(RetrievalFeatures(one, one, RECORDS), Protocol(), Calibration(persons(0), "few"))
    assert found.score.mAP == 1 and found.verification is None and found.threshold is None
    assert "no ROC: no query and gallery image show two different persons" in found.notes[0]
    assert "note: no ROC" in score_table(found) and "verification" not in found.as_dict()
    found = evaluate_features(persons(0), Protocol(false_match_rate=1e-6), Calibration(persons(1), "few"))
    assert "no threshold: a false-match rate of 1e-06 cannot be measured on" in found.notes[0]
    broken = persons(0)
    broken.gallery.features[3, 2] = float("nan")
    with pytest.raises(UserError, match="gallery features contain NaN"):
        evaluate_features(broken, Protocol())


def test_mean_over_splits():
    splits = [evaluate_features(persons(seed), Protocol(verification=False, rerank=ReRanking())) for seed in range(3)]
    found = mean_evaluation(splits)
    for field in ("mAP", "mAP_trapezoid", "rank1", "mINP"):
        assert getattr(found.score, field) == pytest.approx(np.mean([getattr(s.score, field) for s in splits]))
        assert getattr(found.reranked, field) == pytest.approx(np.mean([getattr(s.reranked, field) for s in splits]))
    assert found.score.queries == sum(split.score.queries for split in splits)
    spread = np.std([split.score.mAP for split in splits], ddof=1)
    assert f"mean over 3 splits; standard deviation of mAP (step) between them {100 * spread:.1f} %" in found.notes[0]
    assert mean_evaluation(splits[:1]) is splits[0]


def test_notes_of_splits_are_said_to_be_theirs():
    plain = evaluate_features(persons(0), Protocol(verification=False))
    splits = [dataclasses.replace(plain, notes=notes) for notes in (("all", "two"), ("all",), ("all", "two", "one"))]
    assert mean_evaluation(splits).notes[1:] == ("every split: all", "split 0, 2: two", "split 2: one")


def test_picture_of_the_roc(tmp_path):
    path = draw_roc(receiver_curve(persons(0)), tmp_path / "roc.png")
    with Image.open(path) as picture:
        assert picture.size > (400, 300) and len(picture.convert("RGB").getcolors(100_000)) > 20


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({}, "features as given; how they were made is not recorded"),
        ({"network": "x", "flip": False, "precision": "fp32"}, "features of the image as it is, fp32"),
        ({"flip": True}, "features averaged with the mirror image"),
        ({"precision": "bf16"}, "features in bf16"),
    ],
)
def test_of_how_features_were_made_only_what_they_say_is_told(about, words):
    found = evaluate_features(dataclasses.replace(persons(0), about=about), Protocol(verification=False))
    assert found.rules[0] == f"cosine distance, 1 - cos; {words}"

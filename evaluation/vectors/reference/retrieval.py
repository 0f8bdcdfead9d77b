"""Each query's ranking, walked from the top, as in the programs that defined the scores.

AP (step), CMC and which queries count: ``torchreid/metrics/rank.py`` of KaiyangZhou/deep-person-reid. AP (trapezoid):
``compute_AP.m`` of the MATLAB toolbox that came with Market-1501 (Zheng et al. 2015). INP: Ye et al. 2021, "Deep
Learning for Person Re-identification: A Survey and Outlook", as fast-reid computes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evaluation.retrieval.rules import MARKET1501, MatchRule

MEANS = {"mAP": "ap", "mAP_trapezoid": "ap_trapezoid", "mINP": "inp"}
"""Names of the means, and of the per-query values behind them."""


@dataclass(frozen=True)
class Labels:
    """Attributes:
    query_pids, gallery_pids: identities.
    query_camids, gallery_camids: cameras.
    query_ids, gallery_ids: identify the images; None if no image is on both sides.
    """

    query_pids: Sequence[int]
    query_camids: Sequence[int]
    gallery_pids: Sequence[int]
    gallery_camids: Sequence[int]
    query_ids: Sequence[object] | None = None
    gallery_ids: Sequence[object] | None = None

    def verdicts(self, query: int, rule: MatchRule) -> list[str]:
        """For each gallery image ``"junk"`` (no part of the gallery), ``"passed"`` (of the query's identity, and does
        not count), ``"right"`` or ``"wrong"``."""
        pid, camid = self.query_pids[query], self.query_camids[query]
        camera_counts = rule.same_camera_is_junk and camid not in rule.unknown_camids
        verdicts = []
        for place, (other, camera) in enumerate(zip(self.gallery_pids, self.gallery_camids, strict=True)):
            own_image = self.query_ids is not None and self.query_ids[query] == self.gallery_ids[place]
            if other in rule.junk_pids:
                verdicts.append("junk")
            elif other != pid or pid in rule.distractor_pids:
                verdicts.append("wrong")
            elif (camera_counts and camera == camid) or own_image:
                verdicts.append("passed")
            else:
                verdicts.append("right")
        return verdicts


@dataclass(frozen=True)
class Walk:
    """One query's scores: both average precisions, INP, and the rank of the first right answer, from 1."""

    ap: float
    ap_trapezoid: float
    inp: float
    first_rank: int


def walk_ranking(hits: Sequence[bool]) -> Walk | None:
    """The scores of a ranking, ``hits`` saying which places are right; None where none is."""
    right = sum(hits)
    if not right:
        return None
    step = trapezoid = inp = 0.0
    found, first, old_recall, old_precision = 0, 0, 0.0, 1.0
    for rank, hit in enumerate(hits, start=1):
        found += bool(hit)
        recall, precision = found / right, found / rank
        trapezoid += (recall - old_recall) * (old_precision + precision) / 2
        old_recall, old_precision = recall, precision
        if hit:
            step += precision / right
            first = first or rank
            inp = right / rank  # of the last hit in the end
    return Walk(step, trapezoid, inp, first)


def walk_queries(
    distances: Sequence[Sequence[float]], labels: Labels, rule: MatchRule = MARKET1501
) -> Iterator[Walk | None]:
    """Each query's scores from its row of distances; equal ones keep the gallery's order."""
    for query, row in enumerate(distances):
        verdicts = labels.verdicts(query, rule)
        order = sorted(range(len(row)), key=lambda place, row=row: (row[place], place))
        yield walk_ranking([verdicts[place] == "right" for place in order if verdicts[place] in ("right", "wrong")])


def mean_scores(walks: Sequence[Walk | None]) -> dict[str, float | int] | None:
    """The means over the counted queries, named as in ``score.json``; None where no query counts."""
    counted = [walk for walk in walks if walk is not None]
    if not counted:
        return None
    scores = {name: sum(getattr(walk, of) for walk in counted) / len(counted) for name, of in MEANS.items()}
    for rank in (1, 5, 10, 20):
        scores[f"rank{rank}"] = sum(walk.first_rank <= rank for walk in counted) / len(counted)
    return scores | {"queries": len(counted), "skipped_queries": len(walks) - len(counted)}

"""Single gallery shot (classic CUHK03, Li et al. 2014): every gallery of one image a person, one after another."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from evaluation.retrieval.rules import MARKET1501, MatchRule
from evaluation.vectors.reference.retrieval import Labels


def every_draw(
    distances: Sequence[Sequence[float]], labels: Labels, rule: MatchRule = MARKET1501
) -> dict[str, float | int] | None:
    """The mean CMC over all draws for each counted query; a distractor is a person with one image. None where no query
    counts."""
    shares = [share for query, row in enumerate(distances) if (share := _shares(row, query, labels, rule))]
    if not shares:
        return None
    means = [sum(column) / len(shares) for column in zip(*shares, strict=True)]
    scores = {f"rank{rank}": mean for rank, mean in zip((1, 5, 10, 20), means, strict=True)}
    return scores | {"queries": len(shares), "skipped_queries": len(distances) - len(shares)}


def _shares(row: Sequence[float], query: int, labels: Labels, rule: MatchRule) -> list[float] | None:
    """For Rank-1, 5, 10 and 20 the share of draws with the right answer among the first."""
    choices: dict[object, list[int]] = {}
    for place, verdict in enumerate(labels.verdicts(query, rule)):
        if verdict in ("right", "wrong"):
            pid = labels.gallery_pids[place]
            person = "right" if verdict == "right" else (pid, place if pid in rule.distractor_pids else None)
            choices.setdefault(person, []).append(place)
    if "right" not in choices:
        return None
    ranks = []
    for drawn in itertools.product(*choices.values()):
        right = drawn[list(choices).index("right")]
        ranks.append(1 + sum((row[place], place) < (row[right], right) for place in drawn))
    return [sum(rank <= limit for rank in ranks) / len(ranks) for limit in (1, 5, 10, 20)]

"""The Pareto front: candidates that no other one beats in every respect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from reid.files import write_json
from search.history import Candidate, candidate_to_dict


def pareto_front(
    candidates: Iterable[Candidate],
    minimise: Sequence[str] = ("flops",),
    maximise: Sequence[str] = ("score",),
) -> tuple[Candidate, ...]:
    """Candidates that are not dominated, in ascending order of the first field.

    A candidate is dominated when another one is at least as good in every field and better in one; of equal
    ones all stay. Candidates that lack one of the fields (a failed evaluation) are left out.

    Args:
        minimise, maximise: names of ``Candidate``'s fields where less, or more, is better.
    """

    def losses(candidate: Candidate) -> tuple[float, ...]:
        gains = (-getattr(candidate, name) for name in maximise)
        return (*(getattr(candidate, name) for name in minimise), *gains)

    names = (*minimise, *maximise)
    complete = [each for each in candidates if all(getattr(each, name) is not None for name in names)]
    front: list[tuple[tuple[float, ...], Candidate]] = []
    # In lexicographic order a candidate can only be dominated by one that came before it.
    rows = sorted(((losses(each), each) for each in complete), key=lambda row: (row[0], row[1].trial))
    for loss, candidate in rows:
        # With two fields the last one on the front is the best in the second: it dominates if any does.
        if not any(_dominates(other, loss) for other, _ in (front[-1:] if len(loss) == 2 else front)):
            front.append((loss, candidate))
    return tuple(candidate for _, candidate in front)


def _dominates(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    return first != second and all(a <= b for a, b in zip(first, second, strict=True))


def knees(front: Sequence[Candidate], count: int, cost: str = "flops") -> tuple[Candidate, ...]:
    """Up to ``count`` of a front's candidates, best score first: the one that scores best, then each time the one that
    adds most to the area that the chosen ones dominate.

    These are the points where the front bends: greedy hypervolume subset selection (Guerreiro, Fonseca and Paquete,
    2016). The area reaches to the cost of the dearest candidate and the score of the worst.

    Args:
        front: by ``pareto_front``.
        cost: the name of the field that it was drawn over.
    """
    left = sorted(front, key=lambda each: (-each.score, each.trial))
    if not left:
        return ()
    dearest, lowest = max(getattr(each, cost) for each in left), left[-1].score
    taken = [left.pop(0)]
    while left and len(taken) < count:
        areas = []
        for one in left:
            points = [(getattr(each, cost), each.score) for each in (*taken, one)]
            areas.append(hypervolume(points, dearest, lowest))
        taken.append(left.pop(areas.index(max(areas))))
    return tuple(sorted(taken, key=lambda each: (-each.score, each.trial)))


def hypervolume(points: Iterable[tuple[float, float]], cost: float, score: float) -> float:
    """The area that ``(cost, score)`` points dominate, up to the corner of the given greatest cost and least score."""
    area, top = 0.0, score
    for own_cost, own_score in sorted(points):
        if own_cost < cost and own_score > top:
            area += (cost - own_cost) * (own_score - top)
            top = own_score
    return area


def write_front(path: Path, front: Sequence[Candidate]) -> Path:
    """Writes the front as a JSON list of candidates, atomically."""
    return write_json(path, [candidate_to_dict(candidate) for candidate in front])

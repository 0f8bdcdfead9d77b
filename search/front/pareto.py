"""The Pareto front: candidates that no other one beats in every respect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from reid.files import write_json
from search.front.hypervolume import hypervolume
from search.history import Candidate, candidate_to_dict

COSTS = {"flops": "flops", "latency": "latency_ms", "parameters": "parameters"}
"""Names of costs, with the fields of ``Candidate`` and ``ArchCost`` that hold them."""

NAMES = {"flops": "FLOPs", "latency_ms": "latency", "parameters": "parameters"}
"""The same fields in words."""


def words_of(costs: Sequence[str], score: bool = False) -> str:
    """``"FLOPs, latency and parameters"`` for the fields of these costs; with ``score``, preceded by the score."""
    *first, last = (*("score",) * score, *(NAMES[cost] for cost in costs))
    return f"{', '.join(first)} and {last}" if first else last


def cost_fields(front: Sequence[str] | None, timed: bool) -> tuple[str, ...]:
    """The fields that a front is drawn over, in the order of ``COSTS``, whatever the order of ``front``.

    Args:
        front: names in ``COSTS``; ``None`` for predicted latency if the search has it, else FLOPs.
        timed: whether the search predicts latency.
    """
    names = front or (("latency",) if timed else ("flops",))
    return tuple(field for name, field in COSTS.items() if name in names)


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


def knees(front: Sequence[Candidate], count: int, costs: Sequence[str] = ("flops",)) -> tuple[Candidate, ...]:
    """Up to ``count`` of a front's candidates, best score first: the one that scores best, then each time the one that
    adds most to the area, or with several costs the hypervolume, that the chosen ones dominate.

    These are the points where the front bends: greedy hypervolume subset selection (Guerreiro, Fonseca and Paquete,
    2016). The volume reaches to the cost of the dearest candidate, by each cost, and the score of the worst. Another
    unit of a cost multiplies all volumes alike, and so changes nothing.

    Args:
        front: by ``pareto_front``.
        costs: the names of the fields that it was drawn over.
    """
    left = sorted(front, key=lambda each: (-each.score, each.trial))
    if not left:
        return ()
    losses = {each.trial: (*(getattr(each, cost) for cost in costs), -each.score) for each in left}
    corner = [max(column) for column in zip(*losses.values(), strict=True)]
    taken = [left.pop(0)]
    while left and len(taken) < count:
        volumes = [hypervolume([losses[each.trial] for each in (*taken, one)], corner) for one in left]
        taken.append(left.pop(volumes.index(max(volumes))))
    return tuple(sorted(taken, key=lambda each: (-each.score, each.trial)))


def write_front(path: Path, front: Sequence[Candidate]) -> Path:
    """Writes the front as a JSON list of candidates, atomically."""
    return write_json(path, [candidate_to_dict(candidate) for candidate in front])

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
    front: list[Candidate] = []
    # In lexicographic order a candidate can only be dominated by one that came before it.
    for candidate in sorted(complete, key=lambda each: (losses(each), each.trial)):
        if not any(_dominates(losses(other), losses(candidate)) for other in front):
            front.append(candidate)
    return tuple(front)


def _dominates(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    return first != second and all(a <= b for a, b in zip(first, second, strict=True))


def write_front(path: Path, front: Sequence[Candidate]) -> Path:
    """Writes the front as a JSON list of candidates, atomically."""
    return write_json(path, [candidate_to_dict(candidate) for candidate in front])

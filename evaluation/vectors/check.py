"""Comparison of any program's results with the expected ones: a line for each mismatch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evaluation.vectors.case import Case
from reid.errors import UserError, nearest

TOLERANCE = 1e-6
"""For scores, which other programs sum in float32. Counts and ranks must be equal."""

DISTANCE_TOLERANCE = 1e-5
"""For distances (threshold, re-ranked ones), which other programs compute in float32 throughout."""

_DISTANCES = ("distance", "reranked")

_KINDS = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", type(None): "null"}


def check_results(cases: Sequence[Case], given: Any) -> tuple[int, list[str]]:
    """How many values of ``given`` were compared, and a line for each that differs (one for a whole matrix).

    Args:
        given: results by the name of the case, in the form of ``Case.expected``; what is left out is not checked.

    Raises:
        UserError: there is no case of a name, no result of a name, or a value is of the wrong form.
    """
    compared = list(_compare_mappings("", {case.name: case.expected for case in cases}, given))
    return sum(count for count, _ in compared), [line for _, line in compared if line]


def _compare(where: str, expected: Any, given: Any) -> Iterator[tuple[int, str]]:
    """Numbers of compared values, each with the line of a mismatch or an empty one."""
    if isinstance(expected, Mapping):
        yield from _compare_mappings(where, expected, given)
    elif not isinstance(expected, list):
        yield 1, _mismatch(where, expected, given)
    elif _same_length(where, expected, given) and isinstance(expected[0], list):
        yield _compare_matrices(where, expected, given)
    else:
        for place, pair in enumerate(zip(expected, given, strict=True)):
            yield 1, _mismatch(f"{where}[{place}]", *pair)


def _compare_mappings(where: str, expected: Mapping, given: Any) -> Iterator[tuple[int, str]]:
    if not isinstance(given, Mapping) or not given:
        raise UserError(f"{where or 'results'}: must be a mapping with some of these keys: {', '.join(expected)}")
    for name, value in given.items():
        if name not in expected:
            known = nearest(name, expected) or f"; known: {', '.join(expected)}"
            raise UserError(f"{where or 'results'}: there is no '{name}'{known}")
        yield from _compare(_below(where, name), expected[name], value)


def _compare_matrices(where: str, expected: list, given: list) -> tuple[int, str]:
    differences = {}
    for row, (wanted, got) in enumerate(zip(expected, given, strict=True)):
        _same_length(f"{where}[{row}]", wanted, got)
        for column, pair in enumerate(zip(wanted, got, strict=True)):
            line = _mismatch(f"{where}[{row}][{column}]", *pair)
            if line:
                off = abs(pair[0] - pair[1]) if pair[1] is not None else math.inf
                differences[line] = math.inf if math.isnan(off) else off
    count = sum(map(len, expected))
    if not differences:
        return count, ""
    return count, f"{max(differences, key=differences.get)} ({len(differences)} of {count} distances differ)"


def _same_length(where: str, expected: list, given: Any) -> bool:
    """True; raises the error for anything but a list of that length."""
    if not isinstance(given, list) or len(given) != len(expected):
        got = f"one of {len(given)}" if isinstance(given, list) else _kind(given)
        raise UserError(f"{where}: must be a list of {len(expected)}, got {got}")
    return True


def _mismatch(where: str, expected: float | int | None, given: Any) -> str:
    if given is not None and (isinstance(given, bool) or not isinstance(given, (int, float))):
        raise UserError(f"{where}: must be a number or null, got {_kind(given)}")
    if expected is None or given is None:
        same = expected is given
    elif isinstance(expected, int):
        same = given == expected
    else:
        same = abs(given - expected) <= (DISTANCE_TOLERANCE if any(map(where.count, _DISTANCES)) else TOLERANCE)
    return "" if same else f"{where}: expected {_shown(expected)}, got {_shown(given)}"


def _below(where: str, name: str) -> str:
    """``case``, then ``case: scores``, then ``case: scores.mAP``."""
    return name if not where else f"{where}{'.' if ': ' in where else ': '}{name}"


def _shown(value: float | int | None) -> str:
    return "null" if value is None else f"{value:.9g}"


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a number")

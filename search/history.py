"""Candidates that a search has evaluated, and their log (``candidates.jsonl``)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reid.errors import UserError
from reid.files import append_line, write_text
from supernet.arch import Arch
from supernet.files import arch_from_dict, arch_to_dict
from supernet.space import Genome


@dataclass(frozen=True)
class Candidate:
    """One arch that was scored.

    Attributes:
        trial: number in the order of proposal, from 0.
        origin: how it was drawn: ``random``, ``mutation``, ``crossover`` or ``listing`` (see
            ``search.proposers.base``).
        flops, parameters: its cost, FLOPs at ``arch.input_size``.
        score: mAP (or what the evaluation calls ``default``) as a fraction; ``None`` where the evaluation
            gave no number.
        rank1: Rank-1 as a fraction, where the evaluation gave it.
        seconds: time of the evaluation.
        genome: the choices that ``arch`` was decoded from.
        arch: the network, at the input size that FLOPs are counted at.
        latency_ms: what was predicted for the search's latency target; ``None`` where it had none.
    """

    trial: int
    origin: str
    flops: int
    parameters: int
    score: float | None
    rank1: float | None
    seconds: float
    genome: Genome
    arch: Arch
    latency_ms: float | None = None


def best_of(candidates: Sequence[Candidate], count: int) -> tuple[Candidate, ...]:
    """Up to ``count`` of those with a score, the highest first; of equal scores the cheaper, then the earlier one."""
    scored = [candidate for candidate in candidates if candidate.score is not None]
    return tuple(sorted(scored, key=lambda each: (-each.score, each.flops, each.trial))[:count])


def candidate_to_dict(candidate: Candidate) -> dict:
    """Numbers, strings and lists for JSON; ``candidate_from_dict`` reads it back equal."""
    return {**vars(candidate), "arch": arch_to_dict(candidate.arch)}


def candidate_from_dict(data: Mapping) -> Candidate:
    """The candidate that ``candidate_to_dict`` wrote; raises UserError, KeyError or TypeError for anything else."""
    return Candidate(**{**data, "arch": arch_from_dict(data["arch"])})


def append_candidate(path: Path, candidate: Candidate) -> None:
    """Appends a line to the log. If the process is killed, a truncated line is skipped by ``read_candidates``;
    ``recover_candidates`` must run before the next line is added."""
    append_line(path, json.dumps(candidate_to_dict(candidate), allow_nan=False))


def read_candidates(path: Path) -> list[Candidate]:
    """The log's candidates in the order of their trials, without a last line that was cut short.

    Nothing is written: a search may be adding to the log.

    Raises:
        UserError: another line is damaged, or a trial is missing.
    """
    if not path.exists():
        return []
    candidates = []
    for number, line in enumerate(_whole_lines(path.read_bytes()).splitlines()):
        try:
            candidate = candidate_from_dict(json.loads(line))
            if candidate.trial != number:
                raise ValueError(f"trial {candidate.trial} instead of {number}")
        except (UserError, ValueError, KeyError, TypeError, AttributeError) as error:
            cure = "search again into another folder"
            raise UserError(f"search log {path}: line {number + 1} is damaged ({error}); {cure}") from None
        candidates.append(candidate)
    return candidates


def recover_candidates(path: Path) -> list[Candidate]:
    """``read_candidates`` for a search that continues the log: a truncated last line is removed from it."""
    candidates = read_candidates(path)
    if path.exists():
        log = path.read_bytes()
        whole = _whole_lines(log)
        if whole != log:
            write_text(path, whole.decode())
    return candidates


def _whole_lines(log: bytes) -> bytes:
    return log[: log.rfind(b"\n") + 1]

"""The examination: applies every rule to a run's records, and finds what changed with the last record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reid.engine.doctor.diagnosis import Diagnosis, Finding, Trouble
from reid.engine.doctor.facts import TrainingFacts
from reid.engine.doctor.rules.data import pk_starvation, shared_data
from reid.engine.doctor.rules.embedding import collapse, stuck_at_margin
from reid.engine.doctor.rules.history import Record, Rule, epoch_of
from reid.engine.doctor.rules.optimization import (
    divergence,
    exploding_gradients,
    not_learning,
    unfinished,
    vanishing_gradients,
)
from reid.engine.doctor.rules.retrieval import overfitting, random_level_score
from reid.engine.doctor.rules.rollback import taken_back

RULES: dict[Trouble, Rule] = {
    Trouble.COLLAPSE: collapse,
    Trouble.STUCK_AT_MARGIN: stuck_at_margin,
    Trouble.DIVERGENCE: divergence,
    Trouble.TAKEN_BACK: taken_back,
    Trouble.EXPLODING_GRADIENTS: exploding_gradients,
    Trouble.VANISHING_GRADIENTS: vanishing_gradients,
    Trouble.NOT_LEARNING: not_learning,
    Trouble.UNFINISHED: unfinished,
    Trouble.RANDOM_LEVEL: random_level_score,
    Trouble.OVERFITTING: overfitting,
    Trouble.PK_STARVATION: pk_starvation,
    Trouble.IDENTITY_OVERLAP: shared_data,
}


def examine(records: Sequence[Record], facts: TrainingFacts) -> tuple[Diagnosis, ...]:
    """All troubles that the records show or have shown, each once: lasting ones before past ones, the worst first, then
    the earliest.

    Args:
        records: the lines of ``metrics.jsonl`` so far, each with ``epoch``. Other keys may be missing: what is not
            recorded is not judged.
        facts: of the training.
    """
    found = [_follow(trouble, rule, records, facts) for trouble, rule in RULES.items()]
    seen = [diagnosis for diagnosis in found if diagnosis is not None]
    return tuple(sorted(seen, key=_order))


def news(records: Sequence[Record], facts: TrainingFacts) -> tuple[Diagnosis, ...]:
    """Changes with the last record: troubles that appeared (or reappeared) or have gone. For the first record, this
    includes those of data and recipe, which exist before the first epoch.

    For the log, once per epoch: unlike ``examine``, it does not go through the whole history again.
    """
    told = []
    for trouble, rule in RULES.items():
        before = rule(records[:-1], facts) if len(records) > 1 else None
        now = rule(records, facts)
        if now and not before:
            told.append(_diagnosis(trouble, now, None))
        elif before and not now:
            told.append(_diagnosis(trouble, before, epoch_of(records[-2])))
    return tuple(sorted(told, key=_order))


def _follow(trouble: Trouble, rule: Rule, records: Sequence[Record], facts: TrainingFacts) -> Diagnosis | None:
    """Applies the rule after every epoch: the first and last epoch with a finding, and the worst severity."""
    findings = [rule(records[:end], facts) for end in range(len(records) + 1)]
    seen = [number for number, finding in enumerate(findings) if finding is not None]
    if not seen:
        return None
    until = None if seen[-1] == len(records) else epoch_of(records[seen[-1] - 1])
    last = _diagnosis(trouble, findings[seen[-1]], until)
    worst = max(findings[number].severity for number in seen)
    return replace(last, severity=worst, since=findings[seen[0]].since)


def _diagnosis(trouble: Trouble, finding: Finding, until: int | None) -> Diagnosis:
    return Diagnosis(trouble, finding.severity, finding.since, until, finding.evidence, finding.cure)


def _order(diagnosis: Diagnosis) -> tuple[bool, int, int]:
    return diagnosis.gone, -diagnosis.severity, diagnosis.since

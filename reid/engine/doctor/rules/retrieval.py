"""Rules on retrieval of held-out identities: no better than chance, or deteriorating."""

from __future__ import annotations

from collections.abc import Sequence

from reid.engine.doctor.diagnosis import Finding, Severity
from reid.engine.doctor.facts import TrainingFacts
from reid.engine.doctor.rules.cures import learn, stop_earlier
from reid.engine.doctor.rules.history import Record, epoch_of, number, score, stretch

ABOVE_RANDOM = 1.25
"""Multiple of the random level that a network must reach."""

ABOVE_RANDOM_BY = 0.01
"""Amount by which it must also exceed the random level: with 125 queries an mAP varies by 0.003 by chance, and at a
random level of 0.054 an untrained MobileNetV2 has 0.052 and a ResNet-18 0.059."""

SCORES_WITHIN = 0.25
"""Fraction of all epochs that it has for this after the warm-up."""

FITTED = 0.95
"""Training accuracy above which the training images have nothing more to teach."""

FALLEN = 0.1
"""Fraction of the best mAP that must be lost, ..."""

FALLEN_BY = 0.01
"""... and at least this amount, ..."""

FALLEN_FOR = 2
"""... in this many consecutive evaluations."""


def random_level_score(records: Sequence[Record], facts: TrainingFacts) -> Finding | None:
    """An mAP no better than that of a random ranking."""
    if facts.random_mAP is None:
        return None
    limit = max(ABOVE_RANDOM * facts.random_mAP, facts.random_mAP + ABOVE_RANDOM_BY)
    due = facts.warmup + SCORES_WITHIN * facts.epochs
    evaluated = [record for record in records if score(record) is not None]
    seen = stretch(evaluated, lambda record: epoch_of(record) > due and score(record) < limit)
    if not seen:
        return None
    evidence = f"held-out mAP {100 * score(seen[-1]):.1f} %, a random ranking has {100 * facts.random_mAP:.1f} %"
    return Finding(Severity.CRITICAL, epoch_of(seen[0]), evidence, learn(facts))


def overfitting(records: Sequence[Record], facts: TrainingFacts) -> Finding | None:
    """The training images are fitted, and the held-out mAP has fallen from its best."""
    evaluated = [record for record in records if score(record) is not None]
    accuracy = number(records[-1], "accuracy") if records else None
    if not evaluated or accuracy is None or accuracy < FITTED:
        return None
    best = max(evaluated, key=score)
    limit = min((1 - FALLEN) * score(best), score(best) - FALLEN_BY)
    seen = stretch(evaluated, lambda record: epoch_of(record) > epoch_of(best) and score(record) < limit)
    if len(seen) < FALLEN_FOR:
        return None
    evidence = (
        f"training accuracy {100 * accuracy:.0f} %, held-out mAP {100 * score(seen[-1]):.1f} % after "
        f"{100 * score(best):.1f} % in epoch {epoch_of(best)}"
    )
    return Finding(Severity.NOTE, epoch_of(seen[0]), evidence, stop_earlier(facts))

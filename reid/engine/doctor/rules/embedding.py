"""Rules on the embedding: collapse, and a triplet loss that stays at its margin."""

from __future__ import annotations

from collections.abc import Sequence

from reid.engine.doctor.diagnosis import Finding, Severity
from reid.engine.doctor.facts import TrainingFacts
from reid.engine.doctor.rules.cures import separate, start_gently
from reid.engine.doctor.rules.history import Record, epoch_of, number, stretch

COLLAPSED = 0.005
"""Embedding spread below which features count as one vector. From scratch with batch-hard triplets on unnormalised
features, successful trainings had 0.007 and more, collapsed ones 0.0007 to 0.002."""

COLLAPSED_FOR = 2
"""Epochs of collapse before it is reported, since some trainings pass through one."""

AT_LEVEL = 0.1
"""Largest difference of a stuck triplet loss from the margin, as a fraction of the margin."""

STUCK_FOR = 5
"""Epochs at the margin before they are reported."""

PROGRESS = 0.025
"""Fraction of the margin by which the gap must grow within ``STUCK_FOR`` epochs; otherwise it is stuck."""

MOSTLY_ACTIVE = 0.9
"""Share of active triplets below which features are coming apart: losses that are means over active triplets only stay
near the margin to the end."""


def collapse(records: Sequence[Record], facts: TrainingFacts) -> Finding | None:
    """All features are nearly the same vector, and the triplet loss, if any, does not change that.

    Records without ``embedding_spread`` are judged by the distances relative to the feature norm.
    """
    seen = stretch(records, lambda record: _collapsed(record, facts))
    if len(seen) < COLLAPSED_FOR:
        return None
    last = seen[-1]
    words = [
        _words("spread {:.4f} of 1", number(last, "embedding_spread")),
        _words("hardest positive {:.3g} apart", number(last, "distance_positive")),
        _words("hardest negative {:.3g}", number(last, "distance_negative")),
        _words("feature norm {:.3g}", number(last, "feature_norm")),
        _triplet_words(last, facts),
    ]
    evidence = "all features are nearly one vector: " + ", ".join(word for word in words if word)
    return Finding(Severity.WARNING, epoch_of(seen[0]), evidence, separate(facts))


def _collapsed(record: Record, facts: TrainingFacts) -> bool:
    spread = number(record, "embedding_spread")
    if spread is None:
        # Two independent directions differ by sqrt(2) times their spread.
        norm = 1.0 if facts.normalize else number(record, "feature_norm")
        distances = [number(record, key) for key in ("distance_positive", "distance_negative")]
        if norm is None or None in distances:
            return False
        spread = max(distances) / (max(norm, 1e-12) * 2**0.5)
    loss = number(record, "loss_triplet")
    held_apart = facts.triplet_weight > 0 and loss is not None and loss < (1 - AT_LEVEL) * facts.triplet_level
    return spread < COLLAPSED and not held_apart


def stuck_at_margin(records: Sequence[Record], facts: TrainingFacts) -> Finding | None:
    """The triplet loss stays at its margin although the features are not all the same: hardest positives are as far
    away as hardest negatives, and the gap between them does not grow."""
    if facts.triplet_weight == 0:
        return None
    seen = stretch(records, lambda record: epoch_of(record) > facts.warmup and _at_level(record, facts))
    if len(seen) < STUCK_FOR or _collapsed(seen[-1], facts):
        return None
    last = seen[-1]
    first_gap, last_gap = number(seen[-STUCK_FOR], "distance_gap"), number(last, "distance_gap")
    if first_gap is not None and last_gap is not None:
        if last_gap - first_gap > PROGRESS * facts.triplet_level:
            return None
    words = [_triplet_words(last, facts), _words("gap {:.3f}", last_gap)]
    active = number(last, "active_triplets")
    if active is not None:
        words.append(f"{100 * active:.0f} % of the triplets active")
    return Finding(Severity.WARNING, epoch_of(seen[0]), ", ".join(word for word in words if word), start_gently(facts))


def _at_level(record: Record, facts: TrainingFacts) -> bool:
    loss, active = number(record, "loss_triplet"), number(record, "active_triplets")
    if loss is None or abs(loss - facts.triplet_level) > AT_LEVEL * facts.triplet_level:
        return False
    # With the soft margin, "active" counts positives farther away than negatives: half of them if nothing is learnt.
    return facts.margin is None or active is None or active >= MOSTLY_ACTIVE


def _triplet_words(record: Record, facts: TrainingFacts) -> str | None:
    if facts.triplet_weight == 0:
        return None
    name = "log 2 (soft margin)" if facts.margin is None else f"margin {facts.margin:.3f}"
    return _words("triplet loss {:.3f} of " + name, number(record, "loss_triplet"))


def _words(form: str, value: float | None) -> str | None:
    return None if value is None else form.format(value)

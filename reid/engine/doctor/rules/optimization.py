"""Rules on optimisation: losses and gradients that grow, vanish or stand still."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from reid.engine.doctor.diagnosis import Finding, Severity
from reid.engine.doctor.facts import TrainingFacts
from reid.engine.doctor.rules.cures import calm, feed_gradients, learn, train_on
from reid.engine.doctor.rules.history import Record, epoch_of, number, stretch
from reid.words import counted

WORSE_THAN_GUESSING = 1.25
"""Largest acceptable multiple of ``log(classes)`` for a classification loss. The first epochs of a sound training stay
below 1.15; a classifier that is confidently wrong exceeds it."""

RISEN = 2.0
"""Largest acceptable multiple of its lowest mean so far for an epoch's loss."""

RISEN_BY = 0.5
"""Amount by which the loss must also have risen, since small losses double by chance."""

EXPLODED = 20.0
"""Largest acceptable multiple of the median over previous epochs for an epoch's gradient norm; a loss that falls to
zero raises the norm about two to five times."""

EXPLODED_AFTER = 3
"""Minimum number of epochs with known norms for a median."""

VANISHED = 1e-4
"""Global gradient norm below which a network does not learn. Sound trainings had 1 to 100, and 0.1 at the end."""

VANISHED_FOR = 2
"""Epochs without a gradient before they are reported."""

STILL_GUESSING = 0.97
"""Fraction of ``log(classes)`` above which nothing has been learnt."""

GUESSED = 2.0
"""Multiple of chance accuracy that still counts as guessing, if a scale or margin leaves the loss no such level."""

LEARNS_WITHIN = 0.3
"""Fraction of all epochs, at least two, that the classification loss has after the warm-up to leave that level.
Successful trainings of 14 epochs took up to a fifth of them after the warm-up."""

LEARNT = 0.5
"""Training accuracy to be expected at the end. Networks trained alone ended with 75 to 99 %, supernets whose searches
found something with 56 and 62 %, and those whose searches found nothing with 32 and 46 %."""


def divergence(records: Sequence[Record], facts: TrainingFacts) -> Finding | None:
    """A loss that is not finite, has risen far above its lowest, or is far above that of guessing."""
    seen = stretch(records, lambda record: bool(_not_finite(record, facts)))
    if seen:
        names = ", ".join(_not_finite(seen[-1], facts))
        return Finding(Severity.CRITICAL, epoch_of(seen[0]), f"no longer a finite number: {names}", calm(facts))
    guessing = facts.guessing_loss
    if guessing is None or not records:
        return None
    loss = number(records[-1], "loss_ce")
    if loss is not None and loss > WORSE_THAN_GUESSING * guessing:
        seen = stretch(records, lambda record: (number(record, "loss_ce") or 0) > WORSE_THAN_GUESSING * guessing)
        evidence = f"classification loss {loss:.3g}, guessing among {facts.classes} costs {guessing:.3g}"
        return Finding(Severity.WARNING, epoch_of(seen[0]), evidence, calm(facts))
    return _risen(records, facts)


def _not_finite(record: Record, facts: TrainingFacts) -> list[str]:
    # Under fp16 an infinite norm is routine: the gradient scaler skips such a step and lowers its scale.
    norm = "gradient_norm" if facts.precision != "fp16" else None
    watched = [key for key in record if key.startswith("loss") or key == norm]
    return [key for key in watched if isinstance(record[key], float) and not math.isfinite(record[key])]


def _risen(records: Sequence[Record], facts: TrainingFacts) -> Finding | None:
    losses = [number(record, "loss") for record in records]
    known = [value for value in losses if value is not None]
    if losses[-1] is None:
        return None
    lowest = min(known)
    limit = max(RISEN * lowest, lowest + RISEN_BY)
    if losses[-1] <= limit:
        return None
    after_lowest = records[len(losses) - losses[::-1].index(lowest) :]
    seen = stretch(after_lowest, lambda record: (number(record, "loss") or 0) > limit)
    evidence = f"loss {losses[-1]:.3g}, its lowest was {lowest:.3g}"
    return Finding(Severity.CRITICAL, epoch_of(seen[0]), evidence, calm(facts))


def exploding_gradients(records: Sequence[Record], facts: TrainingFacts) -> Finding | None:
    """A gradient norm far above those of the previous epochs."""
    norms = [(number(record, "gradient_norm"), epoch_of(record)) for record in records]
    known = [(norm, epoch) for norm, epoch in norms if norm is not None]
    if len(known) <= EXPLODED_AFTER or norms[-1][0] is None:
        return None
    *before, (last, epoch) = known
    usual = median(norm for norm, _ in before)
    if last <= EXPLODED * usual or last <= VANISHED:
        return None
    evidence = f"gradient norm {last:.3g}, {usual:.3g} in the epochs before"
    return Finding(Severity.WARNING, epoch, evidence, calm(facts))


def vanishing_gradients(records: Sequence[Record], facts: TrainingFacts) -> Finding | None:
    """No gradient, although there is a loss to reduce."""

    def none_left(record: Record) -> bool:
        norm, loss, accuracy = (number(record, key) for key in ("gradient_norm", "loss", "accuracy"))
        fitted = loss is not None and loss < RISEN_BY or accuracy is not None and accuracy > 0.99
        return norm is not None and norm < VANISHED and not fitted

    seen = stretch(records, none_left)
    if len(seen) < VANISHED_FOR:
        return None
    evidence = f"gradient norm {number(seen[-1], 'gradient_norm'):.1e}"
    loss = number(seen[-1], "loss")
    if loss is not None:
        evidence += f" at a loss of {loss:.3g}"
    return Finding(Severity.CRITICAL, epoch_of(seen[0]), evidence, feed_gradients(facts))


def not_learning(records: Sequence[Record], facts: TrainingFacts) -> Finding | None:
    """A classification loss that has not been below that of guessing by the time it should; if the logits have a scale
    or a margin, an accuracy that has not exceeded that of guessing."""
    guessing, patience = facts.guessing_loss, facts.warmup + max(2.0, LEARNS_WITHIN * facts.epochs)
    if not records or epoch_of(records[-1]) <= patience:
        return None
    if guessing is None:
        return _guesses(records, facts)
    known = [(loss, epoch_of(record)) for record in records if (loss := number(record, "loss_ce")) is not None]
    if not known or min(loss for loss, _ in known) <= STILL_GUESSING * guessing:
        return None
    loss, epoch = known[-1]
    evidence = f"classification loss {loss:.3g} after {counted(epoch, 'epoch')}, guessing costs {guessing:.3g}"
    was_worse = max(loss for loss, _ in known) > WORSE_THAN_GUESSING * guessing
    return Finding(Severity.CRITICAL, known[0][1], evidence, calm(facts) if was_worse else learn(facts))


def _guesses(records: Sequence[Record], facts: TrainingFacts) -> Finding | None:
    if not facts.classified or facts.classes < 2:
        return None
    chance = 1.0 / facts.classes
    known = [(accuracy, epoch_of(each)) for each in records if (accuracy := number(each, "accuracy")) is not None]
    # With two or three identities, the limit is halfway from guessing to knowing them all.
    if not known or max(accuracy for accuracy, _ in known) > min(GUESSED * chance, 0.5 + 0.5 * chance):
        return None
    accuracy, epoch = known[-1]
    after = counted(epoch, "epoch")
    evidence = f"training accuracy {100 * accuracy:.2g} % after {after}, {100 * chance:.2g} % by guessing"
    return Finding(Severity.CRITICAL, known[0][1], evidence, learn(facts))


def unfinished(records: Sequence[Record], facts: TrainingFacts) -> Finding | None:
    """At the end of a training that did learn, most training images are still classified as other identities."""
    if not records or epoch_of(records[-1]) < facts.epochs or not facts.classified:
        return None
    accuracy = number(records[-1], "accuracy")
    if accuracy is None or accuracy >= LEARNT or not_learning(records, facts):
        return None
    evidence = f"training accuracy {100 * accuracy:.0f} % at the end"
    return Finding(Severity.WARNING, epoch_of(records[-1]), evidence, train_on(facts))

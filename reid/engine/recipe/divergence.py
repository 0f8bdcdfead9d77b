"""The divergence guard: recognises a training that has blown up, by functions of the looks at its loss.

A look is a mean over about twenty steps. Measured on MobileNetV2-like networks with 100 Market-1501 identities: a sound
start has no look above 1.1 times the loss of the untrained network; with a rate ten times too high, which still learns,
one or two looks are above twice that loss; with one fifty times too high, three or more, and the training ends in NaN.
Or its loss falls again below twice that of the untrained network, but the network is dead: every unit of its last layer
is at one end of its range for all images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass as plain_dataclass
from dataclasses import replace
from statistics import median
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from reid.config import STRICT
from reid.engine.recipe.optimizers import OptimizerConfig, frozen_groups
from reid.losses.config import ClassificationConfig
from reid.numbers import Count, Whole

RISEN_BY = 0.5
"""Amount by which a loss must also have risen, since small losses double by chance."""

LOST = 0.25
"""Fraction of its usual accuracy below which a training has forgotten what it had learnt."""

KNEW = 0.1
"""Usual accuracy above which this is judged; less may be luck."""

ONE_VECTOR = 1e-5
"""``embedding_spread`` below which features differ only by rounding, which leaves up to 1e-6, so that nothing can be
learnt from them. Trainings with collapsed features that still learnt through their BNNeck had 1e-3 and more."""


@dataclass(frozen=True, config=STRICT)
class GuardConfig:
    """When a training is rolled back to its last sound epoch, from where it continues at a lower rate.

    A loss or weights that are not finite always count as blown up, and so does a gradient norm except under ``fp16``,
    whose scaler skips such steps until no scale is left at which the gradient is finite.

    Attributes:
        rollbacks: how often a training may be rolled back; the next blow-up ends it. With 0, the first one does.
        rate: factor on the learning rate for the rest of the training. The second rollback applies it twice more, the
            third three times more, since repeating what did not help is useless: by default 1/2, 1/8 and 1/64.
        rise: multiple of its usual level that the loss may reach; with null, only non-finite numbers count. The usual
            level is the median of the last sound looks; at the start, it is the loss of the untrained network.
        patience: consecutive looks that must exceed it, have lost the accuracy, or show identical features.
        window: number of sound looks for the usual level.
    """

    rollbacks: Whole = 3
    rate: Annotated[float, Field(gt=0, lt=1)] = 0.5
    rise: Annotated[float, Field(gt=1, allow_inf_nan=False)] | None = 2.0
    patience: Count = 3
    window: Count = 20

    def rate_after(self, rollbacks: int) -> float:
        """The factor on the recipe's rate after ``rollbacks`` rollbacks."""
        return self.rate ** (rollbacks * (rollbacks + 1) // 2)


@plain_dataclass(frozen=True)
class Look:
    """Means over the steps since the last look.

    Attributes:
        loss, gradient_norm: of these steps.
        accuracy, spread: of ``accuracy`` and ``embedding_spread``, if the task logs them.
    """

    loss: float
    gradient_norm: float = 0.0
    accuracy: float | None = None
    spread: float | None = None


@plain_dataclass(frozen=True)
class Usual:
    """Memory of the sound looks, latest last.

    Attributes:
        losses, accuracies: of at most ``window`` looks.
        bad: number of consecutive looks, up to the last, that were not sound.
        doubtful: number of consecutive looks, up to the last, that were more than halfway there.
    """

    losses: tuple[float, ...] = ()
    accuracies: tuple[float, ...] = ()
    bad: int = 0
    doubtful: int = 0

    def sound(self, patience: int) -> bool:
        """Whether a rollback may return to the current weights: not while the loss is rising, but again once it has
        stayed at its new level for ``patience`` looks."""
        return self.bad == 0 and not 0 < self.doubtful <= patience


def judge(
    usual: Usual, look: Look, config: GuardConfig, *, fp16: bool = False, restless: bool = False, short: bool = False
) -> tuple[Usual, str | None]:
    """The usual level after ``look``, and a description of the blow-up if the training has blown up, or ``None``.

    Args:
        usual: the usual level before the look.
        fp16: whether an infinite gradient norm is routine.
        restless: whether the loss may rise now although all is well; the look then becomes the new usual level.
        short: whether the look covers too few steps to be compared with others.
    """
    broken = _not_finite(look, fp16)
    if broken or short:
        return usual, broken
    if restless:
        usual = replace(usual, losses=(), accuracies=())
    if config.rise is None:
        return _remember(usual, look, config.window), None
    bad, doubtful = _collapsed(look), 0
    if usual.losses:
        doubtful = usual.doubtful + 1 if _risen(usual, look, (1 + config.rise) / 2) else 0
        bad = bad or _risen(usual, look, config.rise) or _forgotten(usual, look)
    if bad is None:
        return replace(_remember(usual, look, config.window), doubtful=doubtful), None
    usual = replace(usual, bad=usual.bad + 1, doubtful=doubtful)
    return usual, bad if usual.bad >= config.patience else None


def restless(classification: ClassificationConfig, optimizer: OptimizerConfig, epoch: int) -> bool:
    """Whether the loss may rise in ``epoch`` (from 1) although all is well: a margin grows, a part starts to learn."""
    grows = classification.kind != "linear" and classification.margin_start != classification.margin
    begins = epoch > 1 and frozen_groups(optimizer, epoch) != frozen_groups(optimizer, epoch - 1)
    return begins or (grows and epoch <= math.ceil(classification.margin_warmup))


def _remember(usual: Usual, look: Look, window: int) -> Usual:
    accuracies = usual.accuracies if look.accuracy is None else (*usual.accuracies, look.accuracy)
    return Usual((*usual.losses, look.loss)[-window:], accuracies[-window:])


def _not_finite(look: Look, fp16: bool) -> str | None:
    if not math.isfinite(look.loss):
        return "the loss is not finite"
    if not fp16 and not math.isfinite(look.gradient_norm):
        return "the gradient norm is not finite"
    return None


def _collapsed(look: Look) -> str | None:
    if look.spread is None or not look.spread < ONE_VECTOR:
        return None
    return f"the features of all images are the same (spread {look.spread:.1g})"


def _risen(usual: Usual, look: Look, rise: float) -> str | None:
    level = median(usual.losses)
    if look.loss <= level + max((rise - 1) * abs(level), RISEN_BY):
        return None
    return f"the loss has risen to {look.loss:.3g} (usual: {level:.3g})"


def _forgotten(usual: Usual, look: Look) -> str | None:
    if look.accuracy is None or not usual.accuracies:
        return None
    level = median(usual.accuracies)
    if level < KNEW or look.accuracy >= LOST * level:
        return None
    return f"the accuracy has fallen to {look.accuracy:.1%} (usual: {level:.1%})"

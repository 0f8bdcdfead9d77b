"""Cures: what to try, most promising first, by the recipe's keys and their current values."""

from __future__ import annotations

from reid.engine.doctor.facts import TrainingFacts
from reid.words import counted

SHORT_WARMUP = 200
"""Optimizer steps of warm-up below which a longer one is advised."""


def separate(facts: TrainingFacts) -> str:
    """For features that the triplet loss has drawn together.

    In short trainings from scratch, batch-hard triplets drew all features into one vector, where their loss is the
    margin; semi-hard ones kept them apart at every rate. After a BNNeck, which removes mean and scale, classification
    continued to improve, so the damage varies. Held-out mAP of MobileNetV2 with SGD at 0.05 and a short warm-up, and at
    0.02 and a longer one: after 8 epochs of 200 Market-1501 identities at 64x32, batch-hard 33.5 and 20.1 %, semi-hard
    35.4 and 32.9 %; after 14 epochs of 72 synthetic ones, batch-hard 12.9 and 17.1 %, semi-hard 7.0 % (the
    classification loss rose far above guessing) and 27.5 %; chance is 5.4 %.
    """
    selection, bound = ("", "") if facts.triplet_weight == 0 else (_softer_selection(facts), _bounded(facts))
    return _join(selection, _lower_rate(facts), _longer_warmup(facts), bound)


def start_gently(facts: TrainingFacts) -> str:
    """For triplets that do not come apart."""
    return _join(_softer_selection(facts), _lower_rate(facts), _longer_warmup(facts), "train longer")


def calm(facts: TrainingFacts) -> str:
    """For losses and gradients that grow."""
    clip = "clip_gradient: 5" if facts.clip_gradient is None else f"a smaller clip_gradient (now {facts.clip_gradient})"
    precision = "precision: bf16 or fp32 (now fp16)" if facts.precision == "fp16" else ""
    return _join(_lower_rate(facts), _longer_warmup(facts), clip, precision)


def feed_gradients(facts: TrainingFacts) -> str:
    """For losses without a gradient."""
    precision = "precision: bf16 or fp32 (fp16 rounds small gradients to zero)" if facts.precision == "fp16" else ""
    check = "check whether all parameters are fixed (optimizer.freeze_epochs) or all features are the same"
    return _join(precision, check)


def learn(facts: TrainingFacts) -> str:
    """For a network that knows no more than at the start, as MobileNetV2 does for a third of a short training or longer
    (docs/recipes.md, "Residual branches that begin at 0")."""
    return _join(
        f"train longer (now {facts.epochs * facts.steps_per_epoch} steps)",
        "" if facts.zero_init_residual else "zero_init_residual: auto (inverted residuals learn sooner with it)",
        f"another optimizer.lr (now {facts.learning_rate:g})",
        "check that the labels belong to their images",
    )


def train_on(facts: TrainingFacts) -> str:
    """For a network that was still improving when the training ended."""
    return f"more epochs (now {facts.epochs}, {facts.epochs * facts.steps_per_epoch} steps)"


def stop_earlier(facts: TrainingFacts) -> str:
    """For a network that has overfitted its training images."""
    return "keep_best: true, early_stopping on holdout_mAP, more augment.erase, a larger optimizer.weight_decay"


def _softer_selection(facts: TrainingFacts) -> str:
    return "losses.triplet.selection: semi_hard" if facts.selection in ("batch_hard", "weighted") else ""


def _bounded(facts: TrainingFacts) -> str:
    return "" if facts.normalize else "losses.triplet.normalize: true"


def _lower_rate(facts: TrainingFacts) -> str:
    return f"a lower optimizer.lr (now {facts.learning_rate:g})"


def _longer_warmup(facts: TrainingFacts) -> str:
    steps = round(facts.warmup * facts.steps_per_epoch)
    if steps >= SHORT_WARMUP:
        return ""
    return f"a longer schedule.warmup (now {counted(facts.warmup, 'epoch')}, {steps} steps)"


def _join(*cures: str) -> str:
    return ", ".join(cure for cure in cures if cure)

"""Written histories of a training that goes well, but for what a test puts into them."""

from __future__ import annotations

from reid.engine.doctor import TrainingFacts

FACTS = TrainingFacts(epochs=30, steps_per_epoch=65, classes=200, identities=16, instances=4, warmup=2, random_mAP=0.01)


def sound(epoch: int) -> dict[str, float]:
    """A record of a training that goes well."""
    left = 0.9**epoch
    return {
        "epoch": epoch,
        "loss": 5.3 * left + 0.3 * left + 1.0,
        "loss_ce": 5.3 * left + 1.0,
        "loss_triplet": 0.6 * left,
        "active_triplets": left,
        "distance_positive": 4.0,
        "distance_negative": 4.0 + 3 * (1 - left),
        "distance_gap": 3 * (1 - left),
        "embedding_spread": 0.4,
        "feature_norm": 15.0,
        "accuracy": 0.9 * (1 - left),
        "gradient_norm": 10 * left,
        "holdout_mAP": 0.3 * (1 - left),
    }


def history(epochs: int, since: int = 1, until: int | None = None, **values) -> list[dict[str, float]]:
    """A sound history but for ``values`` (numbers, or functions of the epoch) in the epochs ``since .. until``."""
    records = []
    for epoch in range(1, epochs + 1):
        wrong = {key: value(epoch) if callable(value) else value for key, value in values.items()}
        records.append(sound(epoch) | (wrong if since <= epoch <= (until or epochs) else {}))
    return records

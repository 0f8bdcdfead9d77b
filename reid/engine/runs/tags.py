"""Names of a record's fields in TensorBoard, which groups charts by the part before the slash."""

from __future__ import annotations

TAGS = {
    "loss": "loss/total",
    "accuracy": "score/accuracy",
    "active_triplets": "triplet/active",
    "distance_positive": "triplet/distance_positive",
    "distance_negative": "triplet/distance_negative",
    "distance_gap": "triplet/distance_gap",
    "embedding_spread": "embedding/spread",
    "identity_variance": "embedding/identity_variance",
    "feature_norm": "embedding/feature_norm",
    "gradient_norm": "optimizer/gradient_norm",
    "lr": "optimizer/lr",
    "images_per_second": "speed/images_per_second",
    "peak_memory_mib": "speed/peak_memory_mib",
}


def tag_of(name: str) -> str:
    """The tag of a field: ``loss/triplet`` for ``loss_triplet``, ``score/holdout_mAP`` for ``holdout_mAP``,
    ``loss/total_smallest`` for a supernet's ``smallest_loss``; anything else is under ``other/``."""
    if name in TAGS:
        return TAGS[name]
    first, _, rest = name.partition("_")
    if first == "loss":
        return f"loss/{rest}"
    if rest in TAGS or rest.startswith("loss_"):
        return f"{tag_of(rest)}_{first}"
    if name.split("_")[-1] in ("mAP", "rank1", "rank5", "rank10", "rank20", "mINP"):
        return f"score/{name}"
    return f"other/{name}"

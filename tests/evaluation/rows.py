"""A result that tests of tables, pictures and pages begin with."""

from __future__ import annotations

from evaluation.comparison.row import ResultRow

FOUND = ResultRow(
    name="found",
    kind="searched",
    mAP=0.61,
    rank1=0.8,
    flops=5_000_000,
    parameters=90_000,
    latency_ms=1.0,
    epochs=3,
    seed=0,
    input_size=(64, 32),
    train_set="pedestrians",
    run="runs/found",
)

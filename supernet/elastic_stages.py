"""Elastic stages of every kind, by the kind of block that a space's stage has.

Each is made by the greatest input width, the stage's choices, and which weights its archs have in common; ``stage(x,
values)`` runs the stage of an arch on ``(N, C, H, W)``, and ``stage.copy_to(plain)`` writes the part that a plain
stage's shapes ask for into it.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from supernet.arch import INVERTED_RESIDUAL
from supernet.elastic_blocks import ElasticInvertedStage
from supernet.omni.arch import OMNI_SCALE
from supernet.omni.elastic import ElasticOmniStage

ELASTIC_STAGES: dict[str, Callable[..., nn.Module]] = {
    INVERTED_RESIDUAL: ElasticInvertedStage,
    OMNI_SCALE: ElasticOmniStage,
}

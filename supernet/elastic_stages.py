"""Elastic stages of every kind, by the kind of block that a space's stage has.

Each is built from the greatest input width, the stage's choices, and which weights its archs share. ``stage(x,
values)`` runs the stage of an arch on ``(N, C, H, W)``; ``stage.copy_to(plain)`` writes the part of the weights that
fits the plain stage into it.
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

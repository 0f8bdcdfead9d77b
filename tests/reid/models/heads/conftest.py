"""Heads of every kind, and small feature maps."""

from __future__ import annotations

import pytest
import torch

from reid.models.heads import FeatureEraseConfig, HeadConfig, PartsConfig, SpectralConfig

CHANNELS = 6

CONFIGS = {
    "default": HeadConfig(),
    "embedding": HeadConfig(embedding=4),
    "max, bn": HeadConfig(pool="max", neck="bn"),
    "avg_max, no neck": HeadConfig(pool="avg_max", embedding=4, neck="none"),
    "gem": HeadConfig(pool="gem"),
    "torchreid's fc": HeadConfig(embedding=4, neck="bn", relu=True),
    "mask, dropout, normalize": HeadConfig(embedding=5, mask=True, dropout=0.3, normalize=True),
    "erase": HeadConfig(erase=FeatureEraseConfig()),
    "spectral": HeadConfig(embedding=4, spectral=SpectralConfig(weight=0.5)),
    "pcb": HeadConfig(parts=PartsConfig(stripes=4, embedding=3, global_branch=False)),
    "pcb 6 of 8 rows": HeadConfig(parts=PartsConfig(embedding=3)),
    "pcb, global retrieval": HeadConfig(parts=PartsConfig(stripes=4, embedding=3, retrieve="global")),
    "pcb with everything": HeadConfig(
        pool="gem",
        embedding=5,
        relu=True,
        dropout=0.2,
        mask=True,
        normalize=True,
        erase=FeatureEraseConfig(height=0.2, per_image=True),
        parts=PartsConfig(stripes=4, embedding=3, dropout=0.2, neck="bnneck", mask=True, update="random"),
        spectral=SpectralConfig(),
    ),
}


@pytest.fixture(params=CONFIGS)
def config(request) -> HeadConfig:
    """One head of each kind."""
    return CONFIGS[request.param]


@pytest.fixture
def maps() -> torch.Tensor:
    """``(5, CHANNELS, 8, 4)``, most values positive."""
    return torch.randn(5, CHANNELS, 8, 4, generator=torch.Generator().manual_seed(0)) + 1.0


@pytest.fixture(autouse=True)
def own_random_numbers():
    """Every test draws the same numbers, and leaves the generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield

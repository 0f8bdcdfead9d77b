"""Which images make a training batch: PK batches (plain, camera-aware, balanced over data sets) and random ones."""

from reid.data.samplers.balanced import BalancedSampler
from reid.data.samplers.build import SAMPLERS, Sampler, SamplerKind, build_sampler
from reid.data.samplers.camera_aware import CameraAwareSampler
from reid.data.samplers.pk import PKSampler
from reid.data.samplers.random import RandomSampler

__all__ = [
    "SAMPLERS",
    "BalancedSampler",
    "CameraAwareSampler",
    "PKSampler",
    "RandomSampler",
    "Sampler",
    "SamplerKind",
    "build_sampler",
]

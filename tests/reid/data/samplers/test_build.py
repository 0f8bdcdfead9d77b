from __future__ import annotations

import pytest
import torch

from reid.data.records import NO_CAMERA
from reid.data.samplers import SAMPLERS, build_sampler
from reid.errors import UserError

LABELS = torch.arange(8).repeat_interleave(torch.tensor([5, 9, 4, 7, 8, 3, 6, 6]))
CAMIDS = torch.arange(len(LABELS)) % 3
SOURCES = LABELS // 4


def build(kind: str, seed: int = 2, rank: int = 0, world_size: int = 1):
    return build_sampler(kind, LABELS, 4, 3, seed, camids=CAMIDS, sources=SOURCES, rank=rank, world_size=world_size)


@pytest.mark.parametrize("kind", SAMPLERS)
@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_share_the_batch_of_one_process(kind, world_size):
    whole = build(kind).epoch(1)
    ranks = [build(kind, rank=rank, world_size=world_size).epoch(1) for rank in range(world_size)]
    for batch, *shares in zip(whole, *ranks, strict=True):
        assert torch.equal(batch, torch.cat(shares))
        assert all(len(share) == 12 // world_size for share in shares)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_an_epoch_is_a_function_of_seed_and_number(kind):
    sampler = build(kind)
    first = torch.cat(sampler.epoch(4))
    other = torch.cat(sampler.epoch(5))
    assert torch.equal(first, torch.cat(build(kind).epoch(4)))
    assert not torch.equal(first, other)
    assert not torch.equal(first, torch.cat(build(kind, seed=3).epoch(4)))


@pytest.mark.parametrize("kind", SAMPLERS)
def test_shows_every_image(kind):
    assert set(torch.cat(build(kind).epoch(0)).tolist()) == set(range(len(LABELS)))


DRAWN = {
    "camera_aware": [[5, 2, 9, 10], [6, 3, 4, 1], [8, 4, 0, 7]],
    "balanced": [[1, 8, 9, 10], [0, 6, 5, 2], [7, 3, 5, 2], [4, 1, 9, 10]],
    "random": [[0, 5, 1, 9], [2, 6, 7, 8], [10, 4, 3, 0]],
}


@pytest.mark.parametrize("kind", DRAWN)
def test_draws_are_the_same_in_every_version(kind):
    """A run that is resumed with a later version must draw what the one that began it would have drawn."""
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 0, 1, 3, 3])
    camids = torch.tensor([0, 1, 0, 1, 0, 0, 0, 2, 1, 0, 1])
    sampler = build_sampler(kind, labels, 2, 2, 1, camids=camids, sources=labels // 2)
    assert [batch.tolist() for batch in sampler.epoch(3)] == DRAWN[kind]


def test_refuses():
    with pytest.raises(UserError, match="sampler 'camera-aware' is unknown; nearest: camera_aware"):
        build_sampler("camera-aware", LABELS, 4, 3, 0)
    with pytest.raises(UserError, match="needs the camera of each image"):
        build_sampler("camera_aware", LABELS, 4, 3, 0)
    with pytest.raises(UserError, match="needs the camera of each image"):
        build_sampler("camera_aware", LABELS, 4, 3, 0, camids=torch.full_like(CAMIDS, NO_CAMERA))
    with pytest.raises(UserError, match="needs several data sets"):
        build_sampler("balanced", LABELS, 4, 3, 0)

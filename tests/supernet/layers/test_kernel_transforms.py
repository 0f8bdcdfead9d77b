"""Smaller kernels as trained maps of the largest one's centre."""

from __future__ import annotations

from random import Random

import pytest
import torch

from supernet.layers.kernel_transforms import KernelTransforms
from supernet.sharing import Sharing
from supernet.space import decode
from supernet.space.genome import sample
from supernet.supernet import Supernet
from supernet.trained.checkpoint import load_supernet, save_supernet


@pytest.fixture
def transforms() -> KernelTransforms:
    made = KernelTransforms((3, 5, 7)).double()
    generator = torch.Generator().manual_seed(0)
    for matrix in made.matrices.values():
        matrix.data += torch.randn(matrix.shape, generator=generator).double()
    return made


def test_each_kernel_is_made_of_the_next_larger_one(transforms):
    """Entry by entry, for one channel: 7 to 5, and 5 to 3 by way of the 5."""
    weight = torch.randn(2, 1, 7, 7, dtype=torch.float64)
    for channel in range(2):
        large = weight[channel, 0]
        five = [
            sum(large[1 + a // 5, 1 + a % 5] * transforms.matrices["5"][a, b] for a in range(25)) for b in range(25)
        ]
        three = [
            sum(five[(1 + a // 3) * 5 + 1 + a % 3] * transforms.matrices["3"][a, b] for a in range(9)) for b in range(9)
        ]
        for kernel, expected in ((5, five), (3, three)):
            got = transforms.shrink(weight, kernel)[channel, 0].flatten()
            torch.testing.assert_close(got, torch.stack(expected))
    assert transforms.shrink(weight, 7) is weight


def test_begins_as_the_centre():
    weight = torch.randn(3, 1, 5, 5)
    torch.testing.assert_close(KernelTransforms((1, 3, 5)).shrink(weight, 1), weight[:, :, 2:3, 2:3])


def _spoilt(space) -> Supernet:
    """A supernet whose transforms are not the identity."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        supernet = Supernet(space, Sharing(kernel_transforms=True)).double()
        for name, parameter in supernet.named_parameters():
            if "transforms" in name:
                parameter += 0.3 * torch.randn_like(parameter)
    return supernet


@pytest.mark.parametrize("name", ["toy_space", "omni_space"])
def test_extracted_network_is_the_supernet_at_that_arch(name, request):
    space = request.getfixturevalue(name)
    supernet = _spoilt(space).float()
    images = torch.randn(6, 3, *space.input_size)
    plain = Supernet(space)
    plain.load_state_dict(supernet.state_dict(), strict=False)
    moved = 0
    for seed in range(12):
        arch = decode(space, sample(space, Random(seed)))
        expected = supernet(images, arch)
        torch.testing.assert_close(supernet.extract(arch)(images), expected, rtol=1e-5, atol=1e-5)
        moved += not torch.allclose(plain(images, arch), expected)
    assert moved > 6  # or the transforms would be doing nothing


def test_transforms_are_trained_and_kept(toy_space, tmp_path):
    supernet = _spoilt(toy_space)
    arch = decode(toy_space, {name: options[0] for name, options in toy_space.dimensions().items()})
    supernet(torch.randn(4, 3, *toy_space.input_size).double(), arch).square().sum().backward()
    trained = {name: p.grad for name, p in supernet.named_parameters() if "transforms" in name and p.grad is not None}
    assert trained and all(gradient.abs().max() > 0 for gradient in trained.values())
    path = save_supernet(tmp_path / "supernet.safetensors", supernet.float())
    again = load_supernet(path, torch.device("cpu"))
    assert again.sharing == supernet.sharing
    for name, value in supernet.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)

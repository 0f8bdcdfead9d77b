"""Which blocks of a supernet's stage an arch of each depth runs."""

from __future__ import annotations

import pytest
import torch

from reid.config import build_config
from reid.errors import UserError
from supernet.sharing import Sharing
from supernet.space.genome import largest, smallest
from supernet.supernet import Supernet
from supernet.trained.checkpoint import load_supernet, save_supernet
from supernet.training import SupernetRecipe

KINDS = ("first", "ends", "own")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depths", [(1,), (3,), (1, 2, 4), (2, 3), (2, 5)])
def test_each_depth_runs_that_many_blocks_that_are_held(kind, depths):
    sharing = Sharing(depth=kind)
    runs = {depth: sharing.blocks(depths, depth) for depth in depths}
    assert {depth: len(numbers) for depth, numbers in runs.items()} == {depth: depth for depth in depths}
    assert all(list(numbers) == sorted(set(numbers)) for numbers in runs.values())
    # Nothing is held in vain, and a block that changes the channels is never run behind another.
    assert set().union(*runs.values()) == set(range(sharing.held(depths)))
    first = sharing.first_blocks(depths)
    assert all(numbers[0] in first and not set(numbers[1:]) & set(first) for numbers in runs.values())


def test_what_the_kinds_have_in_common():
    depths = (1, 2, 4)
    ends = [Sharing(depth="ends").blocks(depths, depth) for depth in depths]
    assert ends == [(0,), (0, 3), (0, 1, 2, 3)]
    own = [set(Sharing(depth="own").blocks(depths, depth)) for depth in depths]
    assert not own[0] & own[1] and not own[0] & own[2] and not own[1] & own[2]
    assert Sharing(depth="own").held(depths) == 7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["plus_space", "omni_space"])
def test_survives_its_file(kind, name, request, tmp_path):
    space = request.getfixturevalue(name)
    supernet = Supernet(space, Sharing(depth=kind)).eval()
    again = load_supernet(save_supernet(tmp_path / "supernet.safetensors", supernet), torch.device("cpu")).eval()
    assert again.sharing == supernet.sharing
    images = torch.randn(2, 3, *space.input_size)
    for arch in (largest(space), smallest(space)):
        torch.testing.assert_close(again(images, arch), supernet(images, arch))


@pytest.mark.parametrize("name", ["plus_space", "omni_space"])
def test_own_blocks_of_a_depth_are_not_trained_by_another(name, request):
    space = request.getfixturevalue(name)
    supernet = Supernet(space, Sharing(depth="own"))
    supernet(torch.randn(2, 3, *space.input_size), smallest(space)).sum().backward()
    touched = {key for key, value in supernet.named_parameters() if value.grad is not None}
    supernet.zero_grad(set_to_none=True)
    supernet(torch.randn(2, 3, *space.input_size), largest(space)).sum().backward()
    both = {key for key, value in supernet.named_parameters() if value.grad is not None} & touched
    several = [number for number, stage in enumerate(space.stages) if len(stage.depths) > 1]
    assert several
    blocks = "blocks." if name == "omni_space" else ""
    for number in several:
        assert not any(key.startswith(f"stages.{number}.{blocks}0.") for key in both)
    assert any(key.startswith("stem.") for key in both)


def test_a_recipe_names_it():
    assert build_config(SupernetRecipe, {"depth_sharing": "ends"}, "test").sharing == Sharing(depth="ends")
    with pytest.raises(UserError, match="depth_sharing"):
        build_config(SupernetRecipe, {"depth_sharing": "last"}, "test")

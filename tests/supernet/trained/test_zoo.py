"""Trained networks by name: what is loaded is what was saved, and nothing else is."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
import torch

from reid.engine.runs.checkpoint import save_weights
from reid.errors import UserError
from reid.files import read_json, write_json
from supernet.catalog import NetworkSpec, build, spec_to_dict
from supernet.files import arch_from_rows
from supernet.trained import load_backbone
from supernet.trained.zoo import FOLDER, INDEX, ZooEntry, find_entry, with_entry, write_index, zoo_entries

ARCH = arch_from_rows([[1, 8, 1, 1], [3, 8, 1, 2]], input_size=(64, 32), stem=8, last_width=16)
ABOUT = {
    "arch": None,
    "input_size": (64, 32),
    "feature_dim": 16,
    "flops": 4 * 10**9,  # a ResNet-50
    "flops_mlr": 1,
    "parameters": 1,
    "mAP": 0.5,
    "rank1": 0.6,
    "flip_mAP": None,
    "flip_rank1": None,
    "protocol": "made up",
    "train_set": "made up",
    "epochs": 1,
    "seed": 0,
    "licence": "none",
    "command": "python",
    "commit": "abc",
}


@pytest.fixture
def zoo(tmp_path):
    """A folder with two networks of one arch and different weights; gives it and the networks."""
    networks, entries = {}, []
    for seed, name in enumerate(("Tiny-A", "Tiny-B")):
        torch.manual_seed(seed)
        networks[name] = build(NetworkSpec(name, ARCH, ARCH.input_size)).eval()
        path = save_weights(
            tmp_path / f"{name}.safetensors", networks[name], spec_to_dict(NetworkSpec(name, ARCH, ARCH.input_size))
        )
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        entries.append(ZooEntry(name=name, weights=path.name, sha256=digest, **ABOUT))
    write_index(entries, tmp_path)
    return tmp_path, networks


def test_a_network_by_its_name_gives_the_features_of_the_saved_one(zoo):
    folder, networks = zoo
    images = torch.randn(3, 3, 64, 32, generator=torch.Generator().manual_seed(5))
    for name, network in networks.items():
        loaded = load_backbone(name, folder)
        assert not loaded.training and not any(each.requires_grad for each in loaded.parameters())
        assert loaded(images).shape == (3, 16) and torch.equal(loaded(images), network(images))
    assert torch.equal(load_backbone("tiny-b", folder)(images), networks["Tiny-B"](images))


def test_an_unknown_name_is_answered_with_near_ones(zoo, tmp_path_factory):
    with pytest.raises(UserError, match="in the zoo no weights are called 'Tiny-C'; nearest: Tiny-"):
        load_backbone("Tiny-C", zoo[0])
    with pytest.raises(UserError, match="in the zoo no weights are called 'zzz'; there are Tiny-A, Tiny-B$"):
        load_backbone("zzz", zoo[0])
    with pytest.raises(UserError, match="there are none yet"):
        load_backbone("Tiny-A", tmp_path_factory.mktemp("empty"))


def test_a_missing_file_is_told(zoo):
    folder, _ = zoo
    (folder / "Tiny-A.safetensors").unlink()
    with pytest.raises(UserError, match="the weights of Tiny-A are not at .*Tiny-A.safetensors; restore them"):
        load_backbone("Tiny-A", folder)


@pytest.mark.parametrize("place", [0, 100, -1])
def test_a_file_with_one_bit_changed_is_not_read(zoo, place):
    folder, _ = zoo
    path = folder / "Tiny-A.safetensors"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="Tiny-A.safetensors is not the file that the index describes"):
        load_backbone("Tiny-A", folder)


def test_one_network_is_not_taken_for_another(zoo):
    folder, _ = zoo
    (folder / "Tiny-A.safetensors").write_bytes((folder / "Tiny-B.safetensors").read_bytes())
    with pytest.raises(UserError, match="SHA-256 differs"):
        load_backbone("Tiny-A", folder)


def test_entries_are_read_back_and_replaced_by_name(zoo):
    folder, _ = zoo
    first, second = zoo_entries(folder)
    assert find_entry("TINY-A", folder) == first
    other = dataclasses.replace(first, name="tiny-A", seed=9)
    assert with_entry((first, second), other) == (other, second)
    new = dataclasses.replace(first, name="Tiny-D")
    assert with_entry((first, second), new) == (first, second, new)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("[]", "is not an index of weights"),
        ('{"networks": [{"name": "x"}]}', "entry 1: "),
        ("{", "is not an index of weights; restore it from the repository"),
    ],
)
def test_a_damaged_index_is_refused_in_a_line(tmp_path, index, message):
    (tmp_path / "index.json").write_text(index)
    with pytest.raises(UserError, match=message) as told:
        zoo_entries(tmp_path)
    assert "\n" not in str(told.value)


def test_an_index_with_a_key_that_is_not_known_is_refused(zoo):
    """Nobody would see that a misspelt one says nothing."""
    folder, _ = zoo
    index = read_json(folder / INDEX)
    index["networks"][1]["flipped_mAP"] = 0.5
    write_json(folder / INDEX, index)
    with pytest.raises(UserError, match="entry 2: unknown key 'flipped_mAP'; nearest: flip_mAP"):
        zoo_entries(folder)


def test_what_comes_with_the_checkout_can_be_loaded():
    """Every entry of the index that is in the repository: its file, its digest, its shape and its size."""
    for entry in zoo_entries():
        assert (FOLDER / entry.weights).stat().st_size <= 12 * 2**20
        features = load_backbone(entry.name)(torch.zeros(1, 3, *entry.input_size))
        assert features.shape == (1, entry.feature_dim)
        assert entry.arch is None or (FOLDER / entry.arch).is_file()

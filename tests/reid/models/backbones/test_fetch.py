"""Fetching published weights: from a server, from the cache, and when neither has them."""

from __future__ import annotations

import hashlib
import time
import urllib.error
import urllib.request

import pytest
import torch

from reid.errors import UserError
from reid.models.backbones import build_backbone, load_pretrained
from reid.models.backbones.fetch import fetch_state


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def offline(monkeypatch):
    def refuse(*arguments, **options):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def publish(folder, state, digest=None):
    """Writes a file named as published weights are, and gives its address."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / "w.pth")
    digest = digest or hashlib.sha256((folder / "w.pth").read_bytes()).hexdigest()[:8]
    return (folder / "w.pth").rename(folder / f"net-{digest}.pth").as_uri()


def test_a_published_file_is_fetched_once(tmp_path, cache, monkeypatch):
    url = publish(tmp_path / "server", {"a": torch.arange(3.0)})
    assert torch.equal(fetch_state(url, "net")["a"], torch.arange(3.0))
    assert [file.name for file in cache.iterdir()] == [url.rpartition("/")[2]]
    monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **o: pytest.fail("the cache has it"))
    assert torch.equal(fetch_state(url, "net")["a"], torch.arange(3.0))


def test_a_file_that_is_not_what_its_name_says(tmp_path, cache):
    url = publish(tmp_path / "server", {"a": torch.arange(3.0)}, digest="00000000")
    with pytest.raises(UserError, match="ImageNet weights of net could not be downloaded .*hash"):
        fetch_state(url, "net")
    assert not any(cache.iterdir())


def test_a_damaged_file_in_the_cache_is_named(cache):
    cache.mkdir(parents=True)
    (cache / "net-00000000.pth").write_text("half a file")
    with pytest.raises(UserError, match="not a readable file of tensors") as caught:
        fetch_state("https://example.org/net-00000000.pth", "net")
    assert str(cache / "net-00000000.pth") in str(caught.value)


@pytest.mark.parametrize("name", ["resnet18", "resnet50_ibn_a", "mobilenetv3_small_100"])
def test_offline_it_says_how_to_go_on(name, offline):
    if name == "mobilenetv3_small_100":
        pytest.importorskip("timm")
    backbone = build_backbone(name)
    start = time.monotonic()
    with pytest.raises(UserError) as caught:
        load_pretrained(backbone, "imagenet")
    assert time.monotonic() - start < 2
    message = str(caught.value)
    assert message.startswith(
        f"ImageNet weights of {name} could not be downloaded (Name or service not known); download https://"
    )
    assert message.endswith("give the file's path in place of 'imagenet'") and "\n" not in message


def test_servers_get_ten_seconds(monkeypatch):
    waits = []

    def hang(url, timeout):
        waits.append(timeout)
        raise TimeoutError("timed out")

    monkeypatch.setattr(urllib.request, "urlopen", hang)
    with pytest.raises(UserError, match="timed out"):
        fetch_state("https://example.org/net-00000000.pth", "net")
    assert waits == [10.0]

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch
from PIL import Image

from reid.data import cache, decode
from reid.data.records import ImageRecord
from reid.errors import UserError
from tests.reid.data.small_pictures import load, pixels, save


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    suffixes = ("jpg", "png", "png")
    return [save(tmp_path / "set" / f"{seed:03d}.{suffixes[seed % 3]}", seed) for seed in range(150)]


def files(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder / "cache").iterdir()}


def test_pixels_and_labels_in_order(records, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns of arrays that it must not write to
        images = load(records, tmp_path)
    assert images.images.shape == (150, 32, 16, 3) and images.images.dtype == torch.uint8
    assert images.pids.tolist() == [record.pid for record in records]
    assert images.camids.tolist() == [record.camid for record in records]
    expected = np.stack([pixels(record.path) for record in records])
    assert np.array_equal(images.images.numpy(), expected)


def test_second_load_decodes_nothing_and_is_equal(records, tmp_path, monkeypatch):
    first = load(records, tmp_path)
    before = files(tmp_path)
    monkeypatch.setattr(cache, "decode_images", lambda *given: pytest.fail("decoded again"))
    second = load(records, tmp_path)
    assert torch.equal(first.images, second.images) and files(tmp_path) == before


def test_labels_come_from_the_records(records, tmp_path):
    load(records, tmp_path)
    relabelled = [ImageRecord(record.path, 5, 6) for record in records]
    images = load(relabelled, tmp_path)
    assert set(images.pids.tolist()) == {5} and set(images.camids.tolist()) == {6}


def test_sources_come_from_the_records_and_are_selected(records, tmp_path):
    merged = [replace(record, source=number % 3) for number, record in enumerate(records)]
    images = load(merged, tmp_path)
    assert images.sources.tolist() == [number % 3 for number in range(150)]
    assert images.select(torch.tensor([4, 3, 8])).sources.tolist() == [1, 0, 2]


def test_writing_to_the_images_never_reaches_the_cache(records, tmp_path):
    images = load(records, tmp_path)
    expected = images.images.clone()
    images.images.zero_()
    assert torch.equal(load(records, tmp_path).images, expected)


def test_changed_image_is_decoded_anew_and_the_old_cache_goes(records, tmp_path):
    load(records, tmp_path)
    before = set(files(tmp_path))
    save(Path(records[40].path), seed=999)
    images = load(records, tmp_path)
    assert np.array_equal(images.images[40].numpy(), pixels(records[40].path))
    after = set(files(tmp_path))
    assert len(after) == 2 and not after & before


def test_change_that_keeps_the_file_size_is_noticed(tmp_path):
    path, sizes = tmp_path / "flat.png", set()
    for level in (10, 20):
        Image.fromarray(np.full((8, 4, 3), level, np.uint8)).save(path, compress_level=0)
        os.utime(path, (level, level))
        sizes.add(path.stat().st_size)
        assert (load([ImageRecord(str(path), 1, 1)], tmp_path).images == level).all()
    assert len(sizes) == 1


def test_other_lists_and_sizes_have_their_own_cache(records, tmp_path):
    whole = load(records, tmp_path)
    part = load(records[::-2], tmp_path)
    assert torch.equal(part.images, whole.images.flip(0)[::2])
    assert load(records, tmp_path, size=(16, 8)).images.shape == (150, 16, 8, 3)
    assert len(files(tmp_path)) == 6
    assert torch.equal(load(records, tmp_path).images, whole.images)


def test_cache_moves_with_the_data(records, tmp_path, monkeypatch):
    first = load(records, tmp_path)
    (tmp_path / "set").rename(tmp_path / "moved")
    moved = [ImageRecord(str(tmp_path / "moved" / Path(r.path).name), r.pid, r.camid) for r in records]
    monkeypatch.setattr(cache, "decode_images", lambda *given: pytest.fail("decoded again"))
    assert torch.equal(load(moved, tmp_path).images, first.images)


def test_copies_of_a_data_set_keep_their_caches(records, tmp_path, monkeypatch):
    """Sets of the same file names in other folders, as synthetic ones of two sizes are."""
    others = [save(tmp_path / "other" / Path(r.path).name, seed + 500) for seed, r in enumerate(records)]
    first, second = load(records, tmp_path), load(others, tmp_path)
    assert not torch.equal(first.images, second.images) and len(files(tmp_path)) == 4
    monkeypatch.setattr(cache, "decode_images", lambda *given: pytest.fail("decoded again"))
    assert torch.equal(load(records, tmp_path).images, first.images)
    assert torch.equal(load(others, tmp_path).images, second.images)


def test_cache_that_was_made_before_names_held_the_folder_is_found(records, tmp_path, monkeypatch):
    first = load(records, tmp_path)
    for path in (tmp_path / "cache").iterdir():
        path.rename(path.with_name("0123456789ab-" + path.name.split("-")[1]))
    monkeypatch.setattr(cache, "decode_images", lambda *given: pytest.fail("decoded again"))
    assert torch.equal(load(records, tmp_path).images, first.images)


def test_cache_that_another_process_removes_while_it_is_built_is_read(records, tmp_path, monkeypatch):
    """The other one has seen a file change and removes what it takes for older."""
    real = cache.write_json

    def removed(path, data):
        real(path, data)
        for entry in (tmp_path / "cache").iterdir():
            entry.unlink()

    monkeypatch.setattr(cache, "write_json", removed)
    images = load(records[:5], tmp_path).images
    assert np.array_equal(images.numpy(), np.stack([pixels(record.path) for record in records[:5]]))


DAMAGES = ("array cut", "array empty", "array gone", "manifest gone", "manifest cut", "other version")


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_cache_is_built_again(records, tmp_path, damage):
    expected = load(records, tmp_path).images.clone()
    array, manifest = next((tmp_path / "cache").glob("*.npy")), next((tmp_path / "cache").glob("*.json"))
    if damage == "array cut":
        os.truncate(array, array.stat().st_size - 1)
    elif damage == "array empty":
        os.truncate(array, 0)
    elif damage == "array gone":
        array.unlink()
    elif damage == "manifest gone":
        manifest.unlink()
        array.write_bytes(b"")
    elif damage == "manifest cut":
        manifest.write_text(manifest.read_text()[:10])
    else:
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": cache.VERSION - 1}))
    assert torch.equal(load(records, tmp_path).images, expected)
    assert json.loads(manifest.read_text())["version"] == cache.VERSION


def test_interrupted_build_leaves_nothing(records, tmp_path, monkeypatch):
    real, calls = decode.decode_image, []

    def interrupted(path: str):
        calls.append(path)
        if len(calls) == 100:
            raise KeyboardInterrupt
        return real(path)

    monkeypatch.setattr(decode, "decode_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load(records, tmp_path)
    assert files(tmp_path) == {}
    monkeypatch.undo()
    assert len(load(records, tmp_path)) == 150


@pytest.mark.parametrize("name", ["cut.jpg", "cut.png", "text.jpg", "empty.jpg"])
def test_unreadable_image_is_named(records, tmp_path, name):
    bad = save(tmp_path / "set" / name, seed=3)
    data = Path(bad.path).read_bytes()
    content = {"cut": data[: len(data) // 2], "text": b"no image at all", "empty": b""}[name.split(".")[0]]
    Path(bad.path).write_bytes(content)
    with pytest.raises(UserError) as caught:
        load([*records[:70], bad, *records[70:]], tmp_path)
    assert bad.path in str(caught.value) and "\n" not in str(caught.value)
    assert files(tmp_path) == {}


@pytest.mark.parametrize("count", [2, 9])
def test_all_unreadable_images_are_named_at_once(records, tmp_path, count):
    bad = [Path(record.path) for record in records[40 : 40 + 10 * count : 10]]  # of several chunks
    for path in bad:
        path.write_bytes(b"no image at all")
    with pytest.raises(UserError) as caught:
        load(records, tmp_path)
    said = str(caught.value)
    assert said.startswith(f"image {bad[0]} is unreadable") and f"; {count - 1} more cannot be used: {bad[1]}" in said
    assert [str(path) in said for path in bad] == [place <= 5 for place in range(count)]
    assert said.endswith(", ...") == (count == 9) and "\n" not in said
    assert files(tmp_path) == {}


def test_missing_image_and_empty_list(records, tmp_path):
    Path(records[7].path).unlink()
    with pytest.raises(UserError, match="007.*cannot be read: No such file.*; restore it"):
        load(records, tmp_path)
    with pytest.raises(UserError, match="empty"):
        load([], tmp_path)


def test_folder_that_cannot_be_made(records, tmp_path):
    (tmp_path / "cache").touch()
    with pytest.raises(UserError, match="cannot write the image cache.*make that folder a link"):
        load(records, tmp_path)


def test_builders_at_once_all_get_the_pixels(records, tmp_path, monkeypatch):
    """Threads stand for processes here: builders share nothing but the folder either way."""
    started, real = Barrier(4, timeout=60), cache._build

    def together(*arguments):
        started.wait()  # all four have found no cache and build their own
        return real(*arguments)

    monkeypatch.setattr(cache, "_build", together)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: load(records, tmp_path).images, range(4)))
    expected = np.stack([pixels(record.path) for record in records])
    assert all(np.array_equal(images.numpy(), expected) for images in results)
    assert len(files(tmp_path)) == 2


def test_two_processes_that_build_at_once_get_the_pixels(records, tmp_path, run_twice):
    run_twice(Path(__file__).with_name("cache_program.py"), tmp_path)
    expected = np.stack([pixels(record.path) for record in records])
    digests = {(tmp_path / f"digest{rank}").read_text() for rank in range(2)}
    assert digests == {hashlib.sha256(expected.tobytes()).hexdigest()}
    assert len(files(tmp_path)) == 2  # one array and one manifest, no half of a file
    assert np.array_equal(load(records, tmp_path).images.numpy(), expected)


def test_folders_of_one_list_are_told_apart(tmp_path):
    """Files of one name in several folders; the digest is of names relative to what the folders share."""
    folders = [tmp_path / "set" / name for name in ("", "b", "b/c", "d")]
    records = [save(folder / "same.png", seed) for seed, folder in enumerate(folders)]
    images = load(records, tmp_path).images
    assert np.array_equal(images.numpy(), np.stack([pixels(record.path) for record in records]))
    digest = hashlib.sha256(hashlib.sha256(json.dumps([cache.VERSION, None]).encode()).digest())
    for record in records:
        stat = os.stat(record.path)
        name = os.path.relpath(record.path, tmp_path / "set")
        digest.update(json.dumps([name, stat.st_size, stat.st_mtime_ns]).encode())
    (manifest,) = (tmp_path / "cache").glob("*.json")
    assert json.loads(manifest.read_text())["digest"] == digest.hexdigest()


def test_what_killed_builds_have_left_goes_and_what_others_build_stays(records, tmp_path):
    """A killed build of MSMT17 leaves gigabytes, in a hidden folder that no later build would use."""
    hour = 3600
    for name, age in (("dead", 2 * hour), ("alive", 0), ("begun long ago", 0)):
        folder = tmp_path / "cache" / f".0123456789ab-{name}.npy.xyz"
        folder.mkdir(parents=True)
        (folder / f"0123456789ab-{name}.npy").touch()
        then = time.time() - age
        os.utime(folder / f"0123456789ab-{name}.npy", (then, then))
        os.utime(folder, (then, then) if name != "begun long ago" else (then - 5 * hour, then - 5 * hour))
    load(records[:3], tmp_path)
    assert sorted(name.split("-")[1] for name in files(tmp_path) if name.startswith(".")) == [
        "alive.npy.xyz",
        "begun long ago.npy.xyz",
    ]


def test_memory_that_runs_out_is_no_broken_cache(records, tmp_path, monkeypatch):
    """To decode all of it again would end in the same way, hours later."""
    load(records[:3], tmp_path)

    def refused(path):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(cache, "map_array", refused)
    monkeypatch.setattr(cache, "decode_images", lambda *given: pytest.fail("decoded again"))
    with pytest.raises(OSError, match="memory"):
        load(records[:3], tmp_path)

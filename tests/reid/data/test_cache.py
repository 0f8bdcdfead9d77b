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

from reid.data import cache
from reid.data.cache import load_images
from reid.data.records import ImageRecord
from reid.errors import UserError


def save(path: Path, seed: int, height: int = 32, width: int = 16) -> ImageRecord:
    """A smooth random picture: noise would make JPEG decoders and resizing filters hard to compare."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return ImageRecord(str(path), pid=seed + 1, camid=seed % 6 + 1)


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    suffixes = ("jpg", "png", "png")
    return [save(tmp_path / "set" / f"{seed:03d}.{suffixes[seed % 3]}", seed) for seed in range(150)]


def load(records: list[ImageRecord], folder: Path, size: tuple[int, int] | None = None):
    return load_images(records, folder / "cache", size, progress=False, workers=2)


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
    monkeypatch.setattr(cache, "decode_image", lambda path: pytest.fail(f"decoded {path} again"))
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
    monkeypatch.setattr(cache, "decode_image", lambda path: pytest.fail(f"decoded {path} again"))
    assert torch.equal(load(moved, tmp_path).images, first.images)


def test_copies_of_a_data_set_keep_their_caches(records, tmp_path, monkeypatch):
    """Sets of the same file names in other folders, as synthetic ones of two sizes are."""
    others = [save(tmp_path / "other" / Path(r.path).name, seed + 500) for seed, r in enumerate(records)]
    first, second = load(records, tmp_path), load(others, tmp_path)
    assert not torch.equal(first.images, second.images) and len(files(tmp_path)) == 4
    monkeypatch.setattr(cache, "decode_image", lambda path: pytest.fail(f"decoded {path} again"))
    assert torch.equal(load(records, tmp_path).images, first.images)
    assert torch.equal(load(others, tmp_path).images, second.images)


def test_cache_that_was_made_before_names_held_the_folder_is_found(records, tmp_path, monkeypatch):
    first = load(records, tmp_path)
    for path in (tmp_path / "cache").iterdir():
        path.rename(path.with_name("0123456789ab-" + path.name.split("-")[1]))
    monkeypatch.setattr(cache, "decode_image", lambda path: pytest.fail(f"decoded {path} again"))
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
    real, calls = cache.decode_image, []

    def interrupted(path: str):
        calls.append(path)
        if len(calls) == 100:
            raise KeyboardInterrupt
        return real(path)

    monkeypatch.setattr(cache, "decode_image", interrupted)
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


def test_missing_image_and_empty_list(records, tmp_path):
    Path(records[7].path).unlink()
    with pytest.raises(UserError, match="007.*does not exist"):
        load(records, tmp_path)
    with pytest.raises(UserError, match="empty"):
        load([], tmp_path)


def test_folder_that_cannot_be_made(records, tmp_path):
    (tmp_path / "cache").touch()
    with pytest.raises(UserError, match="cannot write the image cache.*make that folder a link"):
        load(records, tmp_path)


@pytest.mark.parametrize("size", [None, (24, 20)])
def test_other_sizes_are_resized_like_pil(tmp_path, size):
    shapes = [(32, 16), (64, 32), (20, 30)]
    records = [save(tmp_path / f"{i}.png", i, *shape) for i, shape in enumerate(shapes)]
    images = load(records, tmp_path, size).images
    height, width = size or (32, 16)
    assert images.shape == (3, height, width, 3)
    for image, record in zip(images, records, strict=True):
        with Image.open(record.path) as picture:
            expected = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR), dtype=int)
        assert np.abs(image.numpy() - expected).max() <= 1


def test_gray_image_becomes_rgb(tmp_path):
    Image.fromarray(np.full((8, 4), 77, np.uint8)).save(tmp_path / "gray.png")
    images = load([ImageRecord(str(tmp_path / "gray.png"), 1, 1)], tmp_path).images
    assert (images == 77).all() and images.shape == (1, 8, 4, 3)


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_sixteen_bits_keep_their_upper_eight(tmp_path, name):
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(levels).save(tmp_path / name)
    images = load([ImageRecord(str(tmp_path / name), 1, 1)], tmp_path).images.numpy()
    assert np.array_equal(images[0], np.repeat((levels // 256)[:, :, None], 3, axis=2))


def test_transparency_is_left_out_without_a_word(tmp_path):
    palette = Image.fromarray(np.arange(96, dtype=np.uint8).reshape(8, 4, 3)).quantize(8)
    expected = np.asarray(palette.convert("RGB"))
    palette.save(tmp_path / "palette.png", transparency=bytes([0, 128, 255]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow's would stand in the middle of the progress bar
        images = load([ImageRecord(str(tmp_path / "palette.png"), 1, 1)], tmp_path).images
    assert np.array_equal(images[0].numpy(), expected)


def test_an_image_that_is_far_too_large_is_not_called_cut_off(tmp_path, monkeypatch):
    record = save(tmp_path / "scan.png", 0)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UserError, match="scan.png has more than 0 million pixels; cut the persons out"):
        load([record], tmp_path)


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_pixels_of_no_known_range_are_refused(tmp_path, kind):
    Image.fromarray(np.linspace(0, 1000, 32).reshape(8, 4).astype(kind)).save(tmp_path / "map.tif")
    with pytest.raises(UserError, match="map.tif has pixels of 32 bits") as caught:
        load([ImageRecord(str(tmp_path / "map.tif"), 1, 1)], tmp_path)
    assert "\n" not in str(caught.value)


UPRIGHT = {  # by TIFF 6.0: which corner the first pixel of the file shows
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_images_are_turned_as_their_camera_was(tmp_path, orientation):
    stored = np.random.default_rng(0).integers(0, 256, (8, 4, 3), dtype=np.uint8)
    picture = Image.fromarray(stored)
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "phone.png", exif=exif)
    images = load([ImageRecord(str(tmp_path / "phone.png"), 1, 1)], tmp_path).images.numpy()
    assert np.array_equal(images[0], UPRIGHT[orientation](stored))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_broken_exif_block_turns_nothing(tmp_path):
    save(tmp_path / "whole.jpg", 0)
    data = (tmp_path / "whole.jpg").read_bytes()
    block = b"Exif\0\0II*\0\xff\xff\xff\x7f"  # its directory is said to lie far behind its end
    (tmp_path / "odd.jpg").write_bytes(data[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + data[2:])
    images = load([ImageRecord(str(tmp_path / "odd.jpg"), 1, 1)], tmp_path).images.numpy()
    assert np.array_equal(images[0], pixels(str(tmp_path / "whole.jpg")))


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


def test_a_disk_slower_than_the_threads_is_not_run_away_from(records, tmp_path, monkeypatch):
    """What is decoded and not yet written waits in memory: of a large set that may be more than there is."""
    real, decoded, ahead = cache.decode_image, [], []
    monkeypatch.setattr(cache, "_CHUNK", 2)
    monkeypatch.setattr(cache, "decode_image", lambda path: decoded.append(path) or real(path))
    blocks = cache._decoded([record.path for record in records], (32, 16), progress=False, workers=2)
    for number, block in enumerate(blocks, start=1):
        assert np.array_equal(block[1], pixels(records[2 * number - 1].path))
        time.sleep(0.02 if number < 5 else 0)  # the disk
        ahead.append(len(decoded) - 2 * number)
    assert len(ahead) == 75 and max(ahead) <= 8


def test_memory_that_runs_out_is_no_broken_cache(records, tmp_path, monkeypatch):
    """To decode all of it again would end in the same way, hours later."""
    load(records[:3], tmp_path)

    def refused(path):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(cache, "map_array", refused)
    monkeypatch.setattr(cache, "decode_image", lambda path: pytest.fail(f"decoded {path} again"))
    with pytest.raises(OSError, match="memory"):
        load(records[:3], tmp_path)

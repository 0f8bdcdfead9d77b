"""What decoded images look like: sizes, colours, depths, orientation; through the cache, as nearly all are read."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pytest
from PIL import Image

from reid.data import decode
from reid.data.records import ImageRecord
from reid.errors import UserError
from tests.reid.data.small_pictures import load, pixels, save


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


@pytest.mark.parametrize("name", ["deep.png", "deep.tif", "deep.pgm"])
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
    with pytest.raises(UserError, match="scan.png has more than 0 million pixels; crop the persons out"):
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


def test_a_disk_slower_than_the_threads_is_not_run_away_from(tmp_path, monkeypatch):
    """What is decoded and not yet written waits in memory: of a large set that may be more than there is."""
    paths = [save(tmp_path / f"{seed:03d}.png", seed).path for seed in range(150)]
    real, decoded, ahead = decode.decode_image, [], []
    monkeypatch.setattr(decode, "_CHUNK", 2)
    monkeypatch.setattr(decode, "decode_image", lambda path: decoded.append(path) or real(path))
    for number, block in enumerate(decode.decode_images(paths, (32, 16), progress=False, workers=2), start=1):
        assert np.array_equal(block[1], pixels(paths[2 * number - 1]))
        time.sleep(0.02 if number < 5 else 0)  # the disk
        ahead.append(len(decoded) - 2 * number)
    assert len(ahead) == 75 and max(ahead) <= 8

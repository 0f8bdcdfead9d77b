"""Decoding of image files: one, or many by several threads."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from tqdm import tqdm

from reid.data.prepare import resize
from reid.errors import UserError

_CHUNK = 64

_NAMED = 5
"""Images that a message names besides the first."""


def decode_image(path: str | Path) -> np.ndarray:
    """The image as ``(H, W, 3) uint8``, as a viewer shows it: turned as EXIF says; of 16 bits a pixel the upper eight.

    Raises:
        UserError: it is not a complete image, has 32 bits a pixel, or is far too large.
    """
    try:
        with Image.open(path) as image:
            image.load()
            with contextlib.suppress(Exception):  # a broken EXIF block, for which Pillow raises anything, is ignored
                ImageOps.exif_transpose(image, in_place=True)
            if image.mode == "I" and image.format == "PPM":  # a PGM of 16 bits, whose white is 65535 here
                image = Image.fromarray(np.asarray(image).astype(np.uint16))
            if image.mode in ("I", "F"):
                raise UserError(
                    f"image {path} has pixels of 32 bits, whose value for white is unknown; save it with 8 bits"
                )
            if image.mode.startswith("I;16"):  # convert would turn all but the darkest white
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            image.info.pop("transparency", None)  # dropped, as for RGBA; Pillow would warn of palettes
            return np.array(image if image.mode == "RGB" else image.convert("RGB"))  # convert would copy RGB too
    except Image.DecompressionBombError:
        most = 2 * Image.MAX_IMAGE_PIXELS // 10**6
        raise UserError(f"image {path} has more than {most} million pixels; crop the persons out of it") from None
    except (OSError, SyntaxError, ValueError):  # what Pillow's decoders raise
        raise UserError(f"image {path} is unreadable or cut off; replace it or remove it") from None


def decode_images(paths: Sequence[str], size: tuple[int, int], progress: bool, workers: int) -> Iterator[np.ndarray]:
    """The images in order, in arrays ``(n, H, W, 3) uint8`` of up to 64.

    Args:
        size: height and width of the result; images of another size are resized bilinearly, with antialiasing.
        progress: show a progress bar.
        workers: threads.

    Raises:
        UserError: at the end, for all images that ``decode_image`` refuses, so that one decoding shows every image to
            repair.
    """
    unusable: list[tuple[str, str]] = []
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    bar = tqdm(total=len(paths), desc="decoding images", unit="image", disable=not progress)
    pool = ThreadPoolExecutor(workers)  # Pillow decodes without holding Python's lock
    try:
        rest = iter(chunks)
        # Only a few at a time: if the disk is slower than the threads, all others would wait in memory.
        decoding = deque(pool.submit(_decode_chunk, chunk, size) for chunk in islice(rest, 2 * workers))
        while decoding:
            block, wrong = decoding.popleft().result()
            unusable += wrong
            decoding.extend(pool.submit(_decode_chunk, chunk, size) for chunk in islice(rest, 1))
            yield block
            bar.update(len(block))
    finally:
        pool.shutdown(cancel_futures=True)
        bar.close()
    if unusable:
        raise UserError(_all_of(unusable))


def _all_of(unusable: Sequence[tuple[str, str]]) -> str:
    """What is wrong with the first of these images, in words, and which others are unusable."""
    (_, first), *others = unusable
    if not others:
        return first
    named = ", ".join(path for path, _ in others[:_NAMED])
    return f"{first}; {len(others)} more cannot be used: {named}{', ...' if len(others) > _NAMED else ''}"


def _decode_chunk(paths: Sequence[str], size: tuple[int, int]) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """The decoded images, and the paths of unusable ones, each with what is wrong with it."""
    block = np.empty((len(paths), *size, 3), dtype=np.uint8)
    unusable = []
    for row, path in zip(block, paths, strict=True):
        try:
            image = decode_image(path)
        except UserError as error:
            unusable.append((path, str(error)))
            continue
        if image.shape != row.shape:
            image = resize(torch.from_numpy(image)[None], size)[0].numpy()
        row[:] = image
    return block, unusable

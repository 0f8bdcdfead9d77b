"""Decoded images: each file is decoded once into a memory-mapped array, which later runs open at once."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from reid.data.array_file import map_array, write_array
from reid.data.decode import decode_image, decode_images
from reid.data.records import ImageRecord, ImageSet
from reid.errors import UserError
from reid.files import write_atomic, write_json

VERSION = 2
"""Version of the cache's layout and of the decoding of images; a cache of another version is rebuilt."""

_DEAD_AFTER = 3600.0
"""Seconds without a write after which a build counts as killed; a live one writes all the time."""


def load_images(
    records: Sequence[ImageRecord],
    cache_dir: Path,
    size: tuple[int, int] | None = None,
    progress: bool = True,
    workers: int | None = None,
) -> ImageSet:
    """The decoded images of ``records`` in their order, from the cache if it has them, else decoded into it.

    The cache is an array file and a manifest, written last. The names of both contain a digest of everything
    the pixels depend on (file names relative to their common folder, sizes and modification times of the files,
    the requested size): a changed file gives another name, two processes that build the same cache write the
    same content under the same name, and an interrupted build leaves no manifest. Older caches of the same
    files are removed, as are the remains of builds killed over an hour ago. Data that were moved or copied with
    their modification times still match the existing cache.

    Args:
        records: at least one; labels are taken from here, never from the cache.
        cache_dir: created if missing; many lists may share it.
        size: height and width to store; None stores the size of the first image, which suits data sets whose
            images are all of one size (``Dataset.image_size``). Images of another size are resized bilinearly,
            with antialiasing.
        progress: show a progress bar while decoding.
        workers: threads that decode; None takes one for each core.

    Returns:
        Images of ``(N, H, W, 3) uint8`` backed by the file, copied on write: changes never reach it.

    Raises:
        UserError: no records; images that are missing, unreadable or truncated (several are named at once); or a
            folder that cannot be written.
    """
    if not records:
        raise UserError("there are no images to load: the list is empty; give at least one")
    paths = [record.path for record in records]
    stem, key = _names(paths, size)
    _remove_killed_builds(cache_dir)
    images = _find(cache_dir, key, len(paths))
    if images is None:
        array, manifest = cache_dir / f"{stem}-{key}.npy", cache_dir / f"{stem}-{key}.json"
        try:
            images = _build(paths, array, manifest, key, size, progress, workers or os.cpu_count() or 1)
        except OSError as error:
            raise UserError(
                f"cannot write the image cache in {cache_dir}: {error}; make room there, or make that folder a link to "
                "one on another disk"
            ) from None
    return ImageSet(
        images=torch.from_numpy(images),
        pids=torch.tensor([record.pid for record in records], dtype=torch.int64),
        camids=torch.tensor([record.camid for record in records], dtype=torch.int64),
        sources=torch.tensor([record.source for record in records], dtype=torch.int64),
    )


def _names(paths: Sequence[str], size: tuple[int, int] | None) -> tuple[str, str]:
    """A name for the list (folder, file names and the requested size), and a digest of list and files that does not
    depend on where the folder lies."""
    folder = os.path.dirname(os.path.commonprefix([os.path.dirname(path) + os.sep for path in paths]))
    names = hashlib.sha256(json.dumps([VERSION, size]).encode())
    content = hashlib.sha256(names.digest())
    names.update(os.fsencode(os.path.abspath(folder)))  # two data sets may differ only in their folder
    # Once per folder: os.path.relpath takes longer than a file's stat, and few folders hold many files.
    relative = {parent: os.path.relpath(parent, folder) for parent in set(map(os.path.dirname, paths))}
    for path in paths:
        try:
            stat = os.stat(path)
        except OSError as error:
            why = error.strerror
            raise UserError(f"image {path} cannot be read: {why}; restore it, or extract the data set again") from None
        parent, name = os.path.split(path)
        name = name if relative[parent] == os.curdir else os.path.join(relative[parent], name)
        names.update(json.dumps(name).encode())
        content.update(json.dumps([name, stat.st_size, stat.st_mtime_ns]).encode())
    return names.hexdigest()[:12], content.hexdigest()


def _remove_killed_builds(cache_dir: Path) -> None:
    """Removes the remains of killed builds, which may be as large as a cache. Nothing else would remove them: their
    list has a complete cache since, or is never requested again."""
    for folder in cache_dir.glob(".*.npy.*"):  # see write_atomic
        with contextlib.suppress(OSError):  # another process was faster
            written = max(entry.stat().st_mtime for entry in (folder, *folder.iterdir()))
            if time.time() - written > _DEAD_AFTER:
                shutil.rmtree(folder, ignore_errors=True)


def _find(cache_dir: Path, key: str, count: int) -> np.ndarray | None:
    """The cached images of this digest, under the name of any list, or None."""
    for manifest in sorted(cache_dir.glob(f"*-{key}.json")):
        images = _open(manifest.with_suffix(".npy"), manifest, key, count)
        if images is not None:
            return images
    return None


def _open(array: Path, manifest: Path, key: str, count: int) -> np.ndarray | None:
    """The cached images, mapped copy-on-write, or None where there is no valid cache."""
    try:
        written = json.loads(manifest.read_text(encoding="utf-8"))
        images = map_array(array)
    except (OSError, EOFError, ValueError) as error:  # missing, empty, cut off or of another format: rebuilt
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:  # a rebuilt file could not be mapped either
            raise
        return None
    expected = {"version": VERSION, "digest": key, "shape": [count, *images.shape[1:]]}
    valid = written == expected and list(images.shape) == written["shape"] and images.dtype == np.uint8
    return images if valid and images.shape[-1] == 3 else None


def _build(
    paths: Sequence[str],
    array: Path,
    manifest: Path,
    key: str,
    size: tuple[int, int] | None,
    progress: bool,
    workers: int,
) -> np.ndarray:
    size = size or decode_image(paths[0]).shape[:2]
    shape = (len(paths), *size, 3)
    array.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(array, partial(write_array, shape=shape, blocks=decode_images(paths, size, progress, workers)))
    images = map_array(array)  # the mapping stays valid even if its file is removed
    write_json(manifest, {"version": VERSION, "digest": key, "shape": list(shape)})
    for old in array.parent.glob(f"{array.name.split('-')[0]}-*"):
        if key not in old.name:
            with contextlib.suppress(OSError):  # another process was faster, or has it open on Windows
                old.unlink()
    return images

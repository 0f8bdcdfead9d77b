"""Reader of CUHK03's own archive, ``cuhk03_release/cuhk-03.mat``: images as arrays, and the classic test sets.

The file is HDF5 (MATLAB v7.3) and needs ``h5py``. Its layout, transposed as MATLAB's arrays are in HDF5:

* ``detected`` and ``labeled``: 5 camera pairs, each M x 10 images of M persons, five from either camera, some empty;
* ``testsets``: 20 lists of 100 persons, as (pair, person) counted from 1.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from reid.errors import UserError
from reid.files import temporary_folder

RELEASE = "cuhk03_release/cuhk-03.mat"

Person = tuple[int, int]
"""Camera pair (1 to 5) and the person's number in it (from 1)."""

_NAME = re.compile(r"(\d)_(\d{3,})_([12])_(\d{2})\.png")


def image_folder(root: Path, kind: str, cache_dir: Path, progress: bool = True) -> Path:
    """The folder with the images of ``kind`` (``detected`` or ``labeled``), named as ``image_name`` says.

    ``root / "images_<kind>"``, which torchreid makes, if it is there; else a folder in ``cache_dir``, into which the
    archive is extracted once. It appears there complete or not at all.

    Raises:
        UserError: the archive is missing or unreadable, or ``h5py`` is not installed.
    """
    made_by_torchreid = root / f"images_{kind}"
    if made_by_torchreid.is_dir():
        return made_by_torchreid
    archive = root / RELEASE
    if not archive.is_file():
        raise UserError(f"CUHK03: {archive} is missing; extract cuhk03_release.zip into {root}")
    stat = archive.stat()
    key = hashlib.sha256(f"{stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:10]
    folder = cache_dir / f"cuhk03-{kind}-{key}"
    if not folder.is_dir():
        try:
            cache_dir.mkdir(parents=True, exist_ok=True)
            _extract(archive, kind, folder, progress)
        except OSError as error:
            raise UserError(
                f"cannot extract CUHK03's images to {folder}: {error}; make room there, or make its parent folder a "
                "link"
            ) from None
    return folder


def classic_test_sets(root: Path) -> list[frozenset[Person]]:
    """The 20 classic test sets.

    Raises:
        UserError: as ``image_folder``.
    """
    with _opened(root / RELEASE) as file:
        return [
            frozenset((int(pair), int(person)) for pair, person in np.asarray(file[reference]).T)
            for reference in np.asarray(file["testsets"]).reshape(-1)
        ]


def image_name(person: Person, index: int) -> str:
    """``1_007_2_06.png``: pair 1, person 7, camera 2, the sixth of ten images (1 to 5 are camera 1's); torchreid's and
    the new protocol's name for it."""
    return f"{person[0]}_{person[1]:03d}_{1 if index <= 5 else 2}_{index:02d}.png"


def parse_image_name(name: str) -> tuple[Person, int] | None:
    """Person and camera (1 or 2) in an image's name, or None."""
    match = _NAME.fullmatch(name)
    return ((int(match[1]), int(match[2])), int(match[3])) if match else None


def needed(module: str, what: str) -> ModuleType:
    """The optional dependency ``module``, imported.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.split(".")[0]
        raise UserError(f"reading {what} needs {package}, which is not installed: pip install {package}") from None


def _extract(archive: Path, kind: str, folder: Path, progress: bool) -> None:
    with temporary_folder(folder) as temporary:
        with _opened(archive) as file, tqdm(desc=f"CUHK03 {kind}", unit="image", disable=not progress) as bar:
            for name, pixels in _images(file, kind):
                Image.fromarray(pixels).save(temporary / name)
                bar.update()
        os.chmod(temporary, 0o755)  # mkdtemp's 0700 would hide the images from other users
        try:
            temporary.rename(folder)
        except OSError:  # another process was faster
            if not folder.is_dir():
                raise


def _images(file: Any, kind: str) -> Iterator[tuple[str, np.ndarray]]:
    """Names and pixels, ``(H, W, 3) uint8``, of all images of a kind."""
    for pair, pair_reference in enumerate(np.asarray(file[kind]).reshape(-1), start=1):
        for person, references in enumerate(np.asarray(file[pair_reference]).T, start=1):
            for index, reference in enumerate(references, start=1):
                pixels = np.asarray(file[reference])
                if pixels.ndim == 3:  # an empty place is stored as its size
                    yield image_name((pair, person), index), np.ascontiguousarray(pixels.T)


@contextmanager
def _opened(archive: Path) -> Iterator[Any]:
    h5py = needed("h5py", archive.name)
    if not archive.is_file():
        raise UserError(f"CUHK03: {archive} is missing; extract cuhk03_release.zip again")
    try:
        file = h5py.File(archive, "r")
    except OSError:
        raise UserError(f"{archive} is not an HDF5 file, or is cut off; extract cuhk03_release.zip again") from None
    with file:
        missing = {"detected", "labeled", "testsets"} - set(file)
        if missing:
            raise UserError(
                f"{archive} contains no '{min(missing)}', so it is not CUHK03's; extract cuhk03_release.zip again"
            )
        yield file

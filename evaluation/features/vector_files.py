"""Labelled vectors read from files of several kinds, for pictures that need no network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from reid.data.records import NO_CAMERA
from reid.errors import UserError

VECTORS = ("features", "embeddings", "vectors", "x")
LABELS = ("labels", "pids", "targets", "y")
NAMES = ("names", "files", "paths")
"""Accepted names of arrays, in lower or upper case; the first one present is taken."""

_DIGITS = 18
"""Digits that int64 always holds, whatever they are; longer numbers, such as timestamps, are taken as names."""

_MARKET = re.compile(rf"(-1|\d{{1,{_DIGITS}}})_c(\d{{1,{_DIGITS}}})")
"""Beginning of file names of Market-1501 and similar data sets: identity and camera."""

_NOBODY = re.compile(r"-\d+|0+")
"""Identities of junk (-1) and distractors (0), as numbers or as in file names."""


@dataclass(frozen=True, eq=False)
class LabelledVectors:
    """Attributes:
    vectors: ``(N, D) float32``.
    labels: ``(N,) int64``, places in ``names``.
    names: of the labels as the source writes them, in ascending order.
    camids: ``(N,) int64``; ``NO_CAMERA`` where cameras are not known.
    word: what a label is one of: ``"label"``, ``"person"``, ``"digit"``.
    """

    vectors: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    camids: np.ndarray
    word: str = "label"

    def select(self, index: np.ndarray) -> LabelledVectors:
        """The vectors at ``index``, ``(M,)`` positions or ``(N,)`` bools; ``names`` is kept whole."""
        return replace(self, vectors=self.vectors[index], labels=self.labels[index], camids=self.camids[index])


def label_vectors(
    vectors: np.ndarray, labels: np.ndarray, camids: np.ndarray | None = None, word: str = "label"
) -> LabelledVectors:
    """``vectors (N, D)`` with ``labels (N,)``: whole numbers or strings, which are numbered in ascending order.

    Strings are kept as written, so ``"01"`` and ``"1"`` are two labels; if all consist of digits, they are ordered as
    numbers.
    """
    spelled, places = np.unique(labels, return_inverse=True)
    names, places = tuple(map(str, spelled)), places.reshape(-1).astype(np.int64)
    if labels.dtype.kind not in "iu" and all(name.isdecimal() and len(name) <= _DIGITS for name in names):
        order = sorted(range(len(names)), key=lambda place: (int(names[place]), names[place]))  # "2" before "10"
        names, places = tuple(names[place] for place in order), np.argsort(order)[places]
    cameras = np.full(len(labels), NO_CAMERA) if camids is None else camids.astype(np.int64)
    return LabelledVectors(np.asarray(vectors, np.float32), places, names, cameras, word)


def read_labelled(path: Path, labels: Path | None = None) -> LabelledVectors:
    """Vectors and labels of a file; nothing in it is executed.

    Args:
        path: ``.npz`` with an array of ``VECTORS`` ``(N, D)`` and one of ``LABELS`` ``(N,)``, and optionally
            ``camids``; or as ``tools/embed.py`` writes it, with ``NAMES``: file names like Market-1501's
            (``0002_c1s1_000451_03.jpg``) give person and camera; of other files the folder is the label. Or ``.npy``
            of ``(N, D)``, with ``labels``.
            In an array called ``pids``, -1 and 0 are left out: junk and distractors, as in Market-1501. Strings may be
            bytes in UTF-8.
        labels: ``.npy`` of ``(N,)``, or a text file with a label per line; takes precedence over those of ``path``.

    Raises:
        UserError: a file is missing or unreadable, an array is missing, of wrong shape or kind, or holds NaN, or the
            names give no distinct labels.
    """
    arrays = {name.lower(): array for name, array in _arrays(path).items()}
    key, vectors = _first(arrays, VECTORS)
    if vectors is None:
        raise UserError(
            f"{path} has no array called {' or '.join(VECTORS)}; it contains {', '.join(arrays) or 'nothing'}"
        )
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiub" or not vectors.size:
        raise UserError(
            f"{path}: {key} must be numbers of shape (N, D), but is {vectors.dtype} of shape {vectors.shape}"
        )
    with np.errstate(over="ignore"):
        vectors = vectors.astype(np.float32)
    if not np.isfinite(vectors).all():
        raise UserError(f"{path}: {key} contains NaN or infinite values; leave these rows out")
    count = len(vectors)
    if labels is not None:
        return label_vectors(vectors, _fitting(labels, "labels", _label_file(labels), count))
    found, given = _first(arrays, LABELS)
    if given is not None:
        cameras = arrays.get("camids")
        if cameras is not None and _fitting(path, "camids", cameras, count).dtype.kind not in "iu":
            raise UserError(f"{path}: camids must be whole numbers, got {cameras.dtype}")
        given = _fitting(path, found, given, count)
        return _of_persons(path, vectors, given, cameras) if found == "pids" else label_vectors(vectors, given, cameras)
    found, names = _first(arrays, NAMES)
    if names is None:
        raise UserError(f"{path} has no labels: add an array called {' or '.join(LABELS)}, or give --labels FILE")
    return _by_names(path, vectors, _fitting(path, found, names, count))


def _by_names(path: Path, vectors: np.ndarray, names: np.ndarray) -> LabelledVectors:
    files = [PurePosixPath(str(name)) for name in names]
    told = [_MARKET.match(file.name) for file in files]
    if all(told):
        persons, cameras = (np.array([int(each[part]) for each in told], np.int64) for part in (1, 2))
        return _of_persons(path, vectors, persons, cameras)
    folders = np.array([file.parent.name for file in files])
    if len(set(folders.tolist())) < 2:
        raise UserError(
            f"{path}: the names contain no labels, neither as in 0002_c1... nor as a folder for each; give --labels "
            "FILE"
        )
    return label_vectors(vectors, folders)


def _of_persons(path: Path, vectors: np.ndarray, pids: np.ndarray, cameras: np.ndarray | None) -> LabelledVectors:
    """The vectors without junk and distractors."""
    somebody = np.array([_NOBODY.fullmatch(str(pid)) is None for pid in pids])
    if not somebody.any():
        raise UserError(f"{path}: all persons are junk (-1) or distractors (0); embed images of known persons")
    return label_vectors(vectors[somebody], pids[somebody], None if cameras is None else cameras[somebody], "person")


def _first(arrays: Mapping[str, np.ndarray], names: tuple[str, ...]) -> tuple[str, np.ndarray | None]:
    key = next((name for name in names if name in arrays), "")
    return key, arrays.get(key)


def _fitting(path: Path, key: str, values: np.ndarray, count: int) -> np.ndarray:
    if values.shape != (count,) or values.dtype.kind not in "iuUS":
        raise UserError(
            f"{path}: {key} must be {count} whole numbers or strings, one for each vector, "
            f"but is {values.dtype} of shape {values.shape}"
        )
    if values.dtype.kind != "S":
        return values
    try:
        return np.char.decode(values, "utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: {key} contains bytes that are not UTF-8; save them as strings") from None


def _label_file(path: Path) -> np.ndarray:
    if path.suffix == ".npy":
        found = _arrays(path)
        if VECTORS[0] not in found or len(found) > 1:
            raise UserError(
                f"--labels {path}: contains several arrays, or one with a name; save the labels with numpy.save"
            )
        return found[VECTORS[0]]
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise UserError(
            f"--labels {path}: there is no such file; give .npy, or a text with a label in each line"
        ) from None
    except (OSError, UnicodeDecodeError):
        raise UserError(f"--labels {path}: cannot be read; give .npy, or a text with a label in each line") from None
    return np.array([line.strip() for line in lines if line.strip()], dtype=str)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file; the array of a ``.npy`` gets the first name of ``VECTORS``."""
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            return {VECTORS[0]: file}
        with file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; name a file of features, .npz or .npy") from None
    except Exception as error:  # numpy, zipfile and zlib have no common one for a damaged file
        raise UserError(f"{path} is not a readable file of arrays ({error}); save the features again") from None

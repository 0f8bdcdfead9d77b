"""The job of ``tools/embed.py``: vectors of image files, and the images nearest to a given one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from evaluation.embedder import Embedder
from reid.data.datasets.listing import image_paths
from reid.data.decode import decode_image
from reid.errors import UserError
from reid.files import write_atomic


def images_in(sources: Sequence[Path]) -> list[Path]:
    """The given image files and all images below given folders, at any depth, in the given order; sorted per folder.

    Raises:
        UserError: one does not exist, or a folder has no images.
    """
    files: list[Path] = []
    for source in sources:
        if not source.exists():
            raise UserError(f"image {source} does not exist; name image files, or folders of them")
        found = [source / name for name in image_paths(source)] if source.is_dir() else [source]
        if not found:
            raise UserError(f"folder {source} contains no images; name another")
        files += found
    return files


def embed_files(embedder: Embedder, files: Sequence[Path], progress: bool = False) -> np.ndarray:
    """``(N, D) float32`` vectors of image files, each showing one person; reads one batch at a time.

    Raises:
        UserError: an image is unreadable.
    """
    parts, step = [], embedder.batch_size
    with tqdm(total=len(files), desc="embedding", unit="img", disable=not progress, leave=False) as bar:
        for start in range(0, len(files), step):
            chunk = files[start : start + step]
            parts.append(embedder([decode_image(file) for file in chunk]))
            bar.update(len(chunk))
    return np.concatenate(parts) if parts else embedder([])


def save_vectors(path: Path, vectors: np.ndarray, files: Sequence[Path]) -> Path:
    """Writes an ``.npz`` with ``features (N, D) float32`` and ``names (N,)``, the files as given, atomically."""
    names = np.array([file.as_posix() for file in files])
    return write_atomic(path, lambda temporary: np.savez(temporary, features=vectors, names=names))


def nearest_files(query: np.ndarray, vectors: np.ndarray, files: Sequence[Path], top: int) -> list[tuple[float, Path]]:
    """Cosine similarity and file of the ``top`` vectors in ``vectors (N, D)`` most similar to ``query (D,)``, in
    descending order; ties in the order given."""
    alike = vectors @ query
    return [(float(alike[place]), files[place]) for place in np.argsort(-alike, kind="stable")[:top]]

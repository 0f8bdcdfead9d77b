"""How far pixels tell persons apart, for ``synthetic_hardness.py``: compared as they are, and by linear probes."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.parts.hardness.data import Part, resized, score


def pixels(parts: tuple[Part, Part, Part], size: tuple[int, int]) -> list[Tensor]:
    """Flat pixels of (train, query, gallery), standardised per image: exposure does not matter."""
    flat = [resized(part, size).flatten(1) for part in parts]
    return [(f - f.mean(1, keepdim=True)) / f.std(1, keepdim=True) for f in flat]


def ridge(train: Tensor, labels: Tensor, weight: float) -> Callable[[Tensor], Tensor]:
    """Linear map of pixels to the one-hot training identities by least squares, solved in the dual."""
    mean = train.mean(0)
    x, y = (train - mean).double(), F.one_hot(labels).double()
    gram = x @ x.T
    eye = torch.eye(len(x), dtype=torch.float64)
    dual = torch.linalg.solve(gram + weight * gram.diagonal().mean() * eye, y - y.mean(0))
    matrix = (x.T @ dual).float()
    return lambda f: (f - mean) @ matrix


def lda(train: Tensor, labels: Tensor, components: int) -> Callable[[Tensor], Tensor]:
    """Principal components, then whitening by the scatter within identities (Fisher's discriminant)."""
    mean = train.mean(0)
    x = (train - mean).double()
    values, vectors = torch.linalg.eigh(x @ x.T)
    basis = x.T @ vectors[:, -components:] / values[-components:].sqrt()
    z = x @ basis
    classes = F.one_hot(labels).double()
    within = z - classes @ (classes.T @ z / classes.sum(0)[:, None])
    covariance = within.T @ within / len(z)
    covariance += 0.01 * covariance.diagonal().mean() * torch.eye(components, dtype=torch.float64)
    whiten = torch.linalg.inv(torch.linalg.cholesky(covariance)).T
    matrix = (basis @ whiten).float()
    return lambda f: (f - mean) @ matrix


def linear_rows(parts: tuple[Part, Part, Part]) -> list[tuple[str, float, float]]:
    """Rows for pixels and linear probes; of each probe the setting best on the test set, an upper bound."""
    _, labels = torch.unique(parts[0].pids, return_inverse=True)
    rows = []
    for size in ((32, 16), tuple(parts[0].images.shape[2:])):
        train, query, gallery = pixels(parts, size)
        shape = f"{size[0]}x{size[1]}"
        rows.append((f"pixels {shape}, cosine", *score(parts[1], parts[2], query, gallery)))
        probes = [(f"ridge {w:g}", ridge(train, labels, w)) for w in (0.01, 0.1, 1.0, 10.0)]
        probes += [(f"LDA on {c} components", lda(train, labels, c)) for c in (50, 150, 400)]
        scored = [(name, *score(parts[1], parts[2], f(query), f(gallery))) for name, f in probes]
        for kind in ("ridge", "LDA"):
            best = max((row for row in scored if row[0].startswith(kind)), key=lambda row: row[1])
            rows.append((f"pixels {shape}, {best[0]} (best)", *best[1:]))
    return rows

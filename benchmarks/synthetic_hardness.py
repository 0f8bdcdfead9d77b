"""How hard the synthetic pedestrians are: pixels, linear probes on pixels, and networks trained from scratch.

    python benchmarks/synthetic_hardness.py --out runs/hardness

makes the default set below ``--out`` and prints Rank-1 and mAP for each way to compare two pictures. The set
does its work when the linear probes stay low, ResNet-18 is far above them, and smaller networks are below it.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from PIL import Image
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.sizes import add_size
from evaluation.retrieval.metrics import score_features
from reid.data.synthetic import SyntheticConfig, make_synthetic

NAME = re.compile(r"(-?\d+)_c(\d)s")


@dataclass(frozen=True, eq=False)
class Part:
    """Images ``(N, 3, H, W) float32`` in 0..1 with identities and cameras ``(N,) int64``."""

    images: Tensor
    pids: Tensor
    cams: Tensor


def load(folder: Path) -> Part:
    images, labels = [], []
    for path in sorted(folder.glob("*.jpg")):
        images.append(torch.from_numpy(np.array(Image.open(path).convert("RGB"))))
        labels.append([int(v) for v in NAME.match(path.name).groups()])
    pids, cams = torch.tensor(labels).unbind(1)
    return Part(torch.stack(images).permute(0, 3, 1, 2).float() / 255, pids, cams)


def resized(part: Part, size: tuple[int, int]) -> Tensor:
    if tuple(part.images.shape[2:]) == size:
        return part.images
    return F.interpolate(part.images, size=size, mode="bilinear", antialias=True, align_corners=False)


def score(query: Part, gallery: Part, q: Tensor, g: Tensor) -> tuple[float, float]:
    """Rank-1 and mAP in percent for features ``(Q, D)`` and ``(G, D)``, compared by cosine."""
    result = score_features(q, query.pids, query.cams, g, gallery.pids, gallery.cams)
    return 100 * result.rank1, 100 * result.mAP


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


class Net(nn.Module):
    """A trunk that gives ``(N, D)`` features, batch normalisation, and a classifier for training."""

    def __init__(self, trunk: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.trunk, self.neck = trunk, nn.BatchNorm1d(width)
        self.classifier = nn.Linear(width, classes, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        feature = self.trunk(x)
        return feature, self.neck(feature)


def resnet18(classes: int) -> Net:
    trunk = torchvision.models.resnet18(weights=None)
    trunk.fc = nn.Identity()
    # Last stride 1, as is usual in person re-identification: twice the resolution before the pooling.
    trunk.layer4[0].conv1.stride = trunk.layer4[0].downsample[0].stride = (1, 1)
    return Net(trunk, 512, classes)


def small(width: int) -> Callable[[int], Net]:
    """Four plain 3x3 convolutions of growing width: a network that should be weaker than ResNet-18."""

    def build(classes: int) -> Net:
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(((3, width), (width, 2 * width), (2 * width, 4 * width), (4 * width, 4 * width))):
            layers += [
                nn.Conv2d(a, b, 3, stride=2 if i < 3 else 1, padding=1, bias=False),
                nn.BatchNorm2d(b),
                nn.ReLU(),
            ]
        return Net(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), 4 * width, classes)

    return build


def batch_hard(features: Tensor, labels: Tensor, margin: float = 0.3) -> Tensor:
    """Triplet loss with the farthest positive and the nearest negative (Hermans et al. 2017)."""
    distance = torch.cdist(features, features)
    same = labels[:, None] == labels[None, :]
    positive = distance.masked_fill(~same, 0).amax(1)
    negative = distance.masked_fill(same, float("inf")).amin(1)
    return F.relu(positive - negative + margin).mean()


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the images, shift each by up to 4 pixels, change exposure and colour cast."""
    n, _, height, width = images.shape
    flip = torch.rand(n, generator=generator) < 0.5
    images = torch.where(flip[:, None, None, None], images.flip(3), images)
    padded = F.pad(images, (4, 4, 4, 4), mode="replicate")
    ys, xs = torch.randint(0, 9, (2, n), generator=generator).tolist()
    images = torch.stack([p[:, y : y + height, x : x + width] for p, y, x in zip(padded, ys, xs, strict=True)])
    gain = 1 + 0.15 * torch.randn(n, 1, 1, 1, generator=generator)
    gain = gain + 0.07 * torch.randn(n, 3, 1, 1, generator=generator)
    return images * gain


def train_network(
    build: Callable[[int], Net], train: Part, size: tuple[int, int], epochs: int, seed: int
) -> tuple[Net, float]:
    """Train from scratch with label smoothing and batch-hard triplets on 8 x 4 batches; net and seconds."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _, labels = torch.unique(train.pids, return_inverse=True)
        net = build(int(labels.max()) + 1).train()
    images = resized(train, size)
    members = [torch.nonzero(labels == c).flatten() for c in range(int(labels.max()) + 1)]
    steps = epochs * (len(labels) // 32)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=steps, pct_start=0.2)
    start = time.monotonic()
    for step in range(steps):
        people = torch.randperm(len(members), generator=generator)[:8].tolist()
        picks = [m[torch.randperm(len(m), generator=generator)[:4]] for m in (members[p] for p in people)]
        index = torch.cat(picks)
        feature, neck = net((augment(images[index], generator) - 0.5) / 0.25)
        loss = F.cross_entropy(net.classifier(neck), labels[index], label_smoothing=0.1)
        loss = loss + batch_hard(feature, labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            print(
                f"  step {step + 1}/{steps} loss {loss.item():.3f} {time.monotonic() - start:.0f} s",
                flush=True,
            )
    return net.eval(), time.monotonic() - start


@torch.no_grad()
def embed(net: Net, part: Part, size: tuple[int, int]) -> Tensor:
    return torch.cat([net((batch - 0.5) / 0.25)[1] for batch in resized(part, size).split(64)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the set and the table")
    parser.add_argument("--networks", default="small-8,small-24,resnet18", help="comma list; empty for none")
    parser.add_argument("--epochs", type=int, default=12)
    add_size(parser, "96x48")
    parser.add_argument("--seed", type=int, default=0, help="of the training; the set is the default one")
    options = parser.parse_args()
    root = make_synthetic(options.out / "synthetic", SyntheticConfig())
    train, query, gallery = (load(root / f) for f in ("bounding_box_train", "query", "bounding_box_test"))
    print(f"train {len(train.pids)}, query {len(query.pids)}, gallery {len(gallery.pids)} images")
    rows = [(name, rank1, map_, "") for name, rank1, map_ in linear_rows((train, query, gallery))]
    builders = {"small-8": small(8), "small-24": small(24), "resnet18": resnet18}
    size = options.size
    for name in filter(None, options.networks.split(",")):
        print(name, flush=True)
        net, seconds = train_network(builders[name], train, size, options.epochs, options.seed)
        rank1, map_ = score(query, gallery, embed(net, query, size), embed(net, gallery, size))
        rows.append((f"{name} {size[0]}x{size[1]}, {options.epochs} epochs", rank1, map_, f"{seconds:.0f} s"))
    lines = [f"{'':44} Rank-1    mAP", *(f"{n:44} {r:5.1f} % {m:5.1f} %  {t}" for n, r, m, t in rows)]
    (options.out / "hardness.txt").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

"""Networks trained from scratch on the synthetic set, for ``synthetic_hardness.py``, by a recipe of their own."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from benchmarks.parts.hardness.data import Part, resized


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
    """torchvision's, for 512 features."""
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
    """``(N, D)`` features after the neck, of images of ``size``."""
    return torch.cat([net((batch - 0.5) / 0.25)[1] for batch in resized(part, size).split(64)])


BUILDERS: dict[str, Callable[[int], Net]] = {"small-8": small(8), "small-24": small(24), "resnet18": resnet18}
"""By name, functions that make a network for a number of training identities; weakest first."""

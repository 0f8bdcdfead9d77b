"""Scores an arch with a trained supernet's weights on identities that were held out of its training."""

from __future__ import annotations

import copy

import torch
from torch import nn

from evaluation.features.extraction import forward_batches
from evaluation.features.prepared import PreparedImages
from evaluation.retrieval.metrics import score_features
from evaluation.retrieval.rules import RECORDS
from reid.data.augment import AugmentConfig
from reid.data.prepare import prepare, resize_prepared
from reid.data.records import DISTRACTOR_PID, ImageSet
from reid.engine.bn_calibration import calibrate, calibration_images, calibration_indices
from reid.engine.machine.device import DTYPES, autocast
from reid.errors import UserError
from search.config import SearchConfig
from supernet.arch import Arch
from supernet.folding import fold_batch_norm
from supernet.supernet import Supernet

DEFAULT = AugmentConfig()
"""The default augmentation of recipes."""


class SupernetEvaluator:
    """``evaluator(arch)``: the arch's network cut out of the supernet, BN-calibrated, scored by retrieval.

    Every arch is calibrated on the same images and scored on the same queries, at its own input size, so that scores
    compare archs alone. What is alike for all archs is done once: the prepared images stay on the device (see
    ``PreparedImages`` for the memory). Features come from the folded network (``supernet.folding``).

    Args:
        supernet: trained weights; lies on ``device``.
        train: images of the identities that the supernet was trained on; BN is calibrated on some of them.
        query, gallery: images of held-out identities, never the test set's.
        device: where networks run.
        config: see ``SearchConfig``.
        seed: chooses the calibration images.
        augmentation: of the supernet's training; calibration images are augmented so, unless the config says otherwise.

    Raises:
        UserError: an image set is too small, or training and held-out identities overlap.
    """

    def __init__(
        self,
        supernet: Supernet,
        train: ImageSet,
        query: ImageSet,
        gallery: ImageSet,
        device: torch.device | str,
        config: SearchConfig,
        seed: int = 0,
        augmentation: AugmentConfig = DEFAULT,
    ) -> None:
        if len(train) < 2 or not len(query) or not len(gallery):
            counts = f"{len(train)} training, {len(query)} query and {len(gallery)} gallery images"
            raise UserError(f"search data: {counts} are too few; hold out more identities")
        held = {pid for pid in [*query.pids.tolist(), *gallery.pids.tolist()] if pid > DISTRACTOR_PID}
        shared = set(train.pids.tolist()) & held
        if shared:
            raise UserError(
                f"search data: identity {min(shared)} is both trained on and scored on; use separate identities"
            )
        self.supernet, self.device, self.config, self.seed = supernet, torch.device(device), config, seed
        self.augmentation = augmentation
        self.train, self.query, self.gallery = train, query, gallery
        self.precision = pick_precision(config.precision, self.device)
        pixels = torch.cat([query.images, gallery.images])
        self.images = PreparedImages(pixels, self.device, config.eval_batch_size, DTYPES[self.precision])
        self._calibration: dict[tuple[int, int], list[torch.Tensor]] = {}

    def beside(self, supernet: Supernet) -> SupernetEvaluator:
        """The same for another ``supernet`` of the space, on this one's prepared images, which take no memory again."""
        twin = copy.copy(self)
        twin.supernet = supernet
        return twin

    def __call__(self, arch: Arch) -> dict[str, float]:
        """``default``: mAP and ``rank1``: Rank-1, as fractions; NaN where a feature is no finite number.

        An arch that overflows half precision is scored in single precision.
        """
        features = self.features(self.network(arch, self.precision), arch.input_size, self.precision)
        if self.precision != "fp32" and not torch.isfinite(features).all():
            features = self.features(self.network(arch, "fp32"), arch.input_size, "fp32")
        if not torch.isfinite(features).all():
            return {"default": float("nan"), "rank1": float("nan")}
        return self.score(features)

    def network(self, arch: Arch, precision: str) -> nn.Module:
        """The network of ``arch``, calibrated and then folded for inference in ``precision``."""
        network = self.supernet.extract(arch).to(memory_format=torch.channels_last)
        with autocast(self.device, precision):
            calibrate(network, self.calibration(arch.input_size))
        return fold_batch_norm(network, DTYPES[precision])

    def calibration(self, size: tuple[int, int]) -> list[torch.Tensor]:
        """``calibration_batches`` at ``size``, made once."""
        if size not in self._calibration:
            self._calibration[size] = calibration_batches(
                self.train,
                size,
                self.device,
                self.config,
                self.augmentation,
                self.seed,
                trained_at=self.supernet.space.input_size,
            )
        return self._calibration[size]

    def features(self, network: nn.Module, size: tuple[int, int], precision: str) -> torch.Tensor:
        """``(N, D) float32`` of queries, then gallery, on the device; nothing here waits for it."""
        images = (batch.to(DTYPES[precision]) for batch in self.images.batches(size))
        return forward_batches(network, images, len(self.images.pixels), precision=precision)

    def score(self, features: torch.Tensor) -> dict[str, float]:
        """The metrics that a call returns, from finite features."""
        query, gallery = features.split([len(self.query), len(self.gallery)])
        score = score_features(
            query, self.query.pids, self.query.camids, gallery, self.gallery.pids, self.gallery.camids, rule=RECORDS
        )
        return {"default": score.mAP, "rank1": score.rank1}


def pick_precision(name: str, device: torch.device) -> str:
    """``auto`` is fp16 on CUDA and fp32 elsewhere; any other name stands for itself."""
    if name != "auto":
        return name
    return "fp16" if device.type == "cuda" else "fp32"


def calibration_batches(
    train: ImageSet,
    size: tuple[int, int],
    device: torch.device | str,
    config: SearchConfig,
    augmentation: AugmentConfig,
    seed: int = 0,
    trained_at: tuple[int, int] | None = None,
) -> list[torch.Tensor]:
    """Training images to calibrate BN on: ``(N, 3, h, w)`` batches of ``size`` on ``device``, as ``config`` asks for
    them: augmented as in the supernet's training, or as in evaluation.

    Drawn without repeats by ``seed``; fewer than the config asks for where there are not enough.

    Args:
        augmentation: of the supernet's training.
        trained_at: the size that it augments at, where archs see smaller ones of the same images; ``None`` for
            ``size``.
    """
    size_of_batch = config.calibration_batch_size
    most = config.calibration_batches * size_of_batch
    if config.calibration_images == "plain":
        drawn = calibration_indices(len(train), most, size_of_batch, seed)
        return [prepare(train.images[index.sort().values].to(device), size) for index in drawn]
    augmented = calibration_images(train.images, trained_at or size, augmentation, most, size_of_batch, seed)
    return [resize_prepared(batch.to(device), size) for batch in augmented]

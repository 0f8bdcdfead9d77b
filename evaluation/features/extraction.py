"""Extraction of image features by a network, and the score of a network on a query and a gallery."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from tqdm import tqdm

from evaluation.retrieval.metrics import ReidScore, score_features
from evaluation.retrieval.rules import RECORDS
from reid.data.prepare import prepare
from reid.data.records import ImageSet
from reid.engine.machine.device import DTYPES, autocast
from reid.errors import UserError
from reid.transfer import to_device


def extract_features(
    network: nn.Module,
    images: ImageSet,
    size: tuple[int, int],
    device: torch.device | str,
    batch_size: int = 256,
    flip: bool = False,
    precision: str = "fp32",
    progress: bool = False,
) -> torch.Tensor:
    """``(N, D) float32`` features on the CPU, in the order of ``images``.

    The network maps ``(B, 3, h, w)`` normalised images to ``(B, D)`` features. It runs in eval mode; each of
    its modules is left in the mode it was found in. The network must lie on ``device``; images are carried
    there batch by batch, features back when all are there.

    Args:
        size: ``(h, w)`` in pixels that images are resized to.
        flip: the mean of the features of an image and of its mirror image (fast-reid's flip test), at twice
            the time.
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"`` (autocast).
        progress: draw a progress bar.

    Raises:
        UserError: there are no images, the precision is unknown, or the network's output is no ``(B, D)``
            matrix.
    """
    if not len(images):
        raise UserError("there are no images to extract features from: the image set is empty; give at least one")
    if precision not in DTYPES:
        raise UserError(f"precision '{precision}' is unknown; known: {', '.join(DTYPES)}")
    device = torch.device(device)
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    prepared = (prepare(to_device(pixels, device), size) for pixels in images.images.split(batch_size))
    try:
        return forward_batches(network, prepared, len(images), flip, precision, progress).cpu()
    finally:
        for module, training in modes:
            module.training = training


@torch.no_grad()  # tensors of inference mode could not be trained on
def forward_batches(
    network: nn.Module,
    batches: Iterable[torch.Tensor],
    count: int,
    flip: bool = False,
    precision: str = "fp32",
    progress: bool = False,
) -> torch.Tensor:
    """``(count, D) float32`` outputs of ``network`` in the mode it is in, on the batches' device.

    Nothing here waits for the device: it may still be at work when this returns.

    Args:
        batches: ``(B, 3, h, w)`` prepared images where the network lies, ``count`` (at least one) in all.
        flip, precision, progress: as ``extract_features``'s.

    Raises:
        UserError: the network's output is no ``(B, D)`` matrix.
    """
    outputs, start = None, 0
    with tqdm(total=count, desc="features", unit="img", disable=not progress, leave=False) as bar:
        for batch in batches:
            with autocast(batch.device, precision):
                output = network(batch)
                if not isinstance(output, torch.Tensor) or output.ndim != 2 or len(output) != len(batch):
                    raise UserError(
                        "the network must return a matrix of shape (images, features) in eval mode, and returns "
                        "something else"
                    )
                output = output.float()
                if flip:
                    output = (output + network(batch.flip(3)).float()) / 2
            if outputs is None:
                outputs = output.new_empty(count, output.shape[1])
            outputs[start : start + len(batch)] = output
            start += len(batch)
            bar.update(len(batch))
    return outputs


def evaluate_network(
    network: nn.Module,
    query: ImageSet,
    gallery: ImageSet,
    size: tuple[int, int],
    device: torch.device | str,
    batch_size: int = 256,
    metric: str = "cosine",
) -> ReidScore:
    """The score of ``network`` when each query is looked up in the gallery, by ``metric``; other arguments as
    ``extract_features``'s.

    Labels are numbered as the readers do (``RECORDS`` of ``evaluation.retrieval.rules``), with or without cameras.
    Features of both sets are held at once (20 MB for 10,000 images of 512 numbers), distances a block at a time.
    """
    features = [extract_features(network, images, size, device, batch_size).to(device) for images in (query, gallery)]
    return score_features(
        features[0], query.pids, query.camids, features[1], gallery.pids, gallery.camids, metric=metric, rule=RECORDS
    )

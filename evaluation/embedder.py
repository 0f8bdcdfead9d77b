"""A trained network for use in other programs: crops of persons in, vectors of length 1 out.

embedder = Embedder.open("OSNet-x0.42-market1501")
vectors = embedder(crops)
alike = vectors @ vectors.T
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import normalize

from evaluation.features.extraction import forward_batches
from evaluation.features.onnx_network import OnnxNetwork
from reid.data.prepare import prepare, resize
from reid.engine.machine.device import pick_device
from reid.errors import UserError
from reid.transfer import to_device
from supernet.trained import network_file
from supernet.trained.checkpoint import load_network
from supernet.trained.zoo import FOLDER


class Embedder:
    """``embedder(crops)``: the vectors of images of one person each. Crops are prepared as in an evaluation: resized
    (bilinear, with antialiasing) to the network's input size, normalised with ImageNet's mean and standard deviation.

    Attributes:
        network: in eval mode on ``device``.
        input_size: ``(h, w)`` that crops are resized to.
        device: of ``network``; onnxruntime takes its images from the CPU.
        batch_size: number of crops that the network processes at once.
        feature_dim: D, the length of a vector.

    Args:
        network: maps ``(N, 3, h, w)`` normalised images to ``(N, D)`` features; is put into eval mode.

    Raises:
        UserError: ``batch_size`` is below 1.
    """

    def __init__(
        self, network: nn.Module, input_size: tuple[int, int], device: torch.device | str = "cpu", batch_size: int = 64
    ) -> None:
        if batch_size < 1:
            raise UserError(f"batch_size {batch_size}: must be at least 1 (the number of crops processed at once)")
        self.network, self.input_size = network.eval(), tuple(input_size)
        self.device, self.batch_size = torch.device(device), batch_size
        # Gives the length of a vector, even for a file that does not state it.
        self._black = self._run([np.zeros((*self.input_size, 3), np.uint8)])[0]
        self.feature_dim = len(self._black)

    @classmethod
    def open(
        cls,
        source: str | Path,
        device: torch.device | str = "cpu",
        batch_size: int = 64,
        input_size: tuple[int, int] | None = None,
        zoo: Path = FOLDER,
    ) -> Embedder:
        """The network that ``source`` names: a name of the zoo, a run folder, its weights (``.safetensors``), or an
        ``.onnx`` file.

        Args:
            device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or ``"auto"`` for CUDA if available.
            input_size: ``(h, w)``, for an ``.onnx`` file that takes images of any size; other networks have their own.
            zoo: folder of the zoo's weights.

        Raises:
            UserError: there is no such network (the nearest names are listed); it is a supernet, damaged, or made for
                another input size; the device is not available; or ``batch_size`` is below 1.
        """
        device = pick_device(str(device))
        path = network_file(source, zoo=zoo)
        if path.suffix == ".npz":
            raise UserError(f"{path}: saved features are not a network; name the network that computed them")
        if path.suffix == ".onnx":
            network = OnnxNetwork(path, device)
            size, device = network.size_for(input_size, "input_size=(256, 128)"), torch.device("cpu")
        else:
            network, spec = load_network(path, device)
            size = spec.input_size
            if input_size is not None and tuple(input_size) != size:
                raise UserError(f"{path} takes images of {size[0]}x{size[1]}; leave input_size out")
        return cls(network.requires_grad_(False), size, device, batch_size)

    def __call__(self, crops: Sequence[np.ndarray], bgr: bool = False) -> np.ndarray:
        """``(N, D) float32`` vectors of L2 norm 1, in the crops' order; their dot products are cosine similarities. A
        vector of zeros from the network stays one: its similarity to every vector is 0.

        Args:
            crops: N arrays ``(H, W, 3) uint8``, each of its own size; none gives ``(0, D)``.
            bgr: channels are in OpenCV's order, not RGB.

        Raises:
            UserError: a crop has another form, or no pixels; or the network gives a vector that is not finite.
        """
        if isinstance(crops, np.ndarray) and crops.ndim == 3:
            raise UserError("crops must be a list of arrays, one for each person; for a single one, give [crop]")
        for number, crop in enumerate(crops):
            if not isinstance(crop, np.ndarray) or crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3:
                found = f"{crop.dtype} {crop.shape}" if isinstance(crop, np.ndarray) else type(crop).__name__
                raise UserError(f"crop {number} must be a uint8 array (height, width, 3), but is {found}")
            if not crop.size:
                raise UserError(f"crop {number} has no pixels: its shape is {crop.shape}; leave it out")
        return self._run([crop[:, :, ::-1] for crop in crops] if bgr else crops)

    def get_features(self, xyxys: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """``(N, D) float32`` vectors of the boxes' contents, as from ``__call__``. This is the method that BoxMOT's
        trackers call on an appearance model.

        A box is rounded to whole pixels and clipped to the frame. A box that lies outside the frame or has no area gets
        the vector of a black image, as in BoxMOT: its length is 1 too, and trackers divide by the length.

        Args:
            xyxys: ``(N, 4)`` left, top, right, bottom in pixels of the frame, right and bottom exclusive; of any number
                type; none gives ``(0, D)``.
            frame: ``(H, W, 3) uint8`` in OpenCV's BGR order.

        Raises:
            UserError: the boxes or the frame are of another form, or a coordinate is not finite.
        """
        boxes = np.asarray(xyxys, np.float64)
        boxes = boxes.reshape(0, 4) if not boxes.size else np.atleast_2d(boxes)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise UserError(f"boxes must have shape (N, 4) (left, top, right, bottom), but have {boxes.shape}")
        if not np.isfinite(boxes).all():
            raise UserError(
                f"box {np.argmin(np.isfinite(boxes).all(1))} has a coordinate that is NaN or infinite; leave it out"
            )
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise UserError("the frame must be a uint8 array (height, width, 3), in BGR as OpenCV reads it")
        height, width = frame.shape[:2]
        boxes = np.clip(np.rint(boxes), 0, [width, height, width, height]).astype(int)
        seen = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        vectors = np.repeat(self._black[None], len(boxes), axis=0)
        vectors[seen] = self([frame[top:bottom, left:right] for left, top, right, bottom in boxes[seen]], bgr=True)
        return vectors

    def _run(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        if not len(crops):
            return np.zeros((0, self.feature_dim), np.float32)
        features = forward_batches(self.network, self._prepared(crops), len(crops))
        if not torch.isfinite(features).all():
            raise UserError(
                "the network computes vectors that contain NaN or infinite values: its training diverged; train it "
                "again"
            )
        return normalize(features).cpu().numpy()

    def _prepared(self, crops: Sequence[np.ndarray]) -> Iterator[torch.Tensor]:
        """Batches for the network. Crops are resized on the CPU, each from its own size, as the cache does."""
        for start in range(0, len(crops), self.batch_size):
            sized = [resize(_tensor(crop)[None], self.input_size) for crop in crops[start : start + self.batch_size]]
            yield prepare(to_device(torch.cat(sized), self.device), self.input_size)


def _tensor(array: np.ndarray) -> torch.Tensor:
    """``array`` as a tensor; copied only if it is reversed or read-only, which torch does not accept."""
    plain = array.flags.writeable and array.flags.c_contiguous and min(array.strides) > 0
    return torch.from_numpy(array if plain else array.copy())

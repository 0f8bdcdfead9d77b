"""A network in an ``.onnx`` file, run by onnxruntime, usable in place of a PyTorch network."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import nn

from reid.data.prepare import pixels_of
from reid.errors import UserError, first_line

_LOCATION = re.compile(rb"\n\x08location\x12.", re.DOTALL)
"""How ``TensorProto.external_data`` names a file: this entry's key, then the length of the name in a byte, then the
name."""

_PIXELS = "tensor(uint8)"
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


def is_open(side: int | str | None) -> bool:
    """Whether a file leaves a side of its input open, by a name or without one."""
    return not isinstance(side, int)


class OnnxNetwork(nn.Module):
    """``network(images)``: ``(N, 3, h, w)`` images, normalised as in training, to ``(N, D) float32`` features on the
    images' device.

    The file must have one input: ``(batch, 3, h, w)`` of floats, or ``(batch, h, w, 3)`` of uint8 pixels, which it
    normalises itself; those are recovered from ``images`` exactly. Its first output is taken. A fixed batch size is
    respected: the last batch is padded with zeros, and its output cut off again.

    Attributes:
        input_size: ``(h, w)`` that the file asks for, or None where it takes any.
        takes_pixels: whether the input is of uint8 pixels.
        metadata: the file's own metadata, as text (``evaluation.export.about`` has the keys of our own files).
        providers: onnxruntime's execution providers.
        digest: SHA-256 of the file, and of the files beside it that hold its weights; tells networks apart.

    Args:
        path: the file.
        device: ``cuda`` takes onnxruntime's CUDA provider where it has one.

    Raises:
        UserError: onnxruntime is not installed, or the file is missing, damaged or of another kind of network.
    """

    def __init__(self, path: Path, device: torch.device | str = "cpu") -> None:
        super().__init__()
        runtime = _onnxruntime()
        if not path.is_file():
            raise UserError(f"network file {path} does not exist")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        wanted = ["CUDAExecutionProvider"] if torch.device(device).type == "cuda" else []
        there = [name for name in wanted if name in runtime.get_available_providers()]
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=[*there, "CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no common base
            why = first_line(error)
            raise UserError(f"{path} cannot be opened as an ONNX network ({why}); export it again") from None
        self.providers = tuple(self._session.get_providers())
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        self.takes_pixels = len(inputs) == 1 and inputs[0].type == _PIXELS
        colors, height, width = (3, 1, 2) if self.takes_pixels else (1, 2, 3)
        if (
            len(shape) != 4
            or not (shape[colors] == 3 or is_open(shape[colors]))
            or inputs[0].type not in (*_TYPES, _PIXELS)
        ):
            found = "; ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
            wanted = "(batch, 3, height, width) of floats or (batch, height, width, 3) of uint8"
            raise UserError(f"{path}: must have one input {wanted}, but has {found}")
        self._input, self._type = inputs[0].name, _TYPES.get(inputs[0].type)
        self._batch = None if is_open(shape[0]) else shape[0]
        sized = not (is_open(shape[height]) or is_open(shape[width]))
        self.input_size: tuple[int, int] | None = (shape[height], shape[width]) if sized else None
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._output = self._session.get_outputs()[0].name
        self.path, self.digest = path, _digest(path)

    def size_for(self, wanted: tuple[int, int] | None, cure: str) -> tuple[int, int]:
        """The input size ``(h, w)``: the file's own, or ``wanted`` if it takes any. ``cure`` says how to give one.

        Raises:
            UserError: the size is unknown, or differs from the file's.
        """
        found = self.input_size or wanted
        if found is None:
            raise UserError(f"{self.path} takes images of any size; choose one with {cure}")
        if wanted is not None and tuple(wanted) != found:
            raise UserError(
                f"{self.path} takes images of {found[0]}x{found[1]}, not {wanted[0]}x{wanted[1]}; give its own size"
            )
        return found

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images_here = images.detach().cpu()
        if self.takes_pixels:
            values = pixels_of(images_here).numpy()
        else:
            values = np.ascontiguousarray(images_here.numpy(), dtype=self._type)
        step = self._batch or max(len(values), 1)
        parts = [self._run(values[start : start + step]) for start in range(0, len(values), step)]
        return torch.from_numpy(np.concatenate(parts)).to(images.device)

    def _run(self, values: np.ndarray) -> np.ndarray:
        count = len(values)
        if self._batch and count < self._batch:
            values = np.concatenate([values, np.zeros((self._batch - count, *values.shape[1:]), values.dtype)])
        try:
            (output,) = self._session.run([self._output], {self._input: values})
        except MemoryError:  # no fault of the size's
            raise
        except Exception as error:  # see above
            height, width = values.shape[1:3] if self.takes_pixels else values.shape[2:]
            raise UserError(
                f"{self.path} cannot run {len(values)} images of {height}x{width} ({first_line(error)}); give "
                "the size and batch that it was exported for"
            ) from None
        if output.ndim != 2 or len(output) != len(values):
            raise UserError(
                f"{self.path} returns an array of shape {output.shape} for {len(values)} images instead of (images, "
                "features)"
            )
        return output[:count].astype(np.float32)


def _digest(path: Path) -> str:
    """SHA-256, in hexadecimal, of the file and then of its external data, by name.

    Exporters may put the weights into a separate file; the ``.onnx`` files of two networks of the same structure may
    then be identical.
    """
    content = path.read_bytes()
    digest = hashlib.sha256(content)
    ends = [match.end() for match in _LOCATION.finditer(content)]
    names = {content[end : end + content[end - 1]] for end in ends}
    for data in (path.parent / os.fsdecode(name) for name in sorted(names)):
        if data.is_file():  # the same bytes may be an entry of something else
            with data.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def _onnxruntime() -> ModuleType:
    try:
        import onnxruntime
    except ImportError:
        raise UserError("running .onnx files needs onnxruntime: pip install onnxruntime") from None
    return onnxruntime

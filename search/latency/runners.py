"""A network, or a part of one, made ready to be called on a latency target."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import nn

from reid.models.heads import HeadOutput
from search.latency.kit.measure import onnx_call
from search.latency.targets import Target

Call = Callable[[], object]
"""Runs the network once and returns when it is done."""


def prepare(network: nn.Module, shape: tuple[int, int, int], target: Target) -> Call:
    """``network`` on ``target`` and a batch of zeros of ``shape`` ``(C, H, W)``, in eval mode; it is moved there."""
    if target.runtime == "onnx":
        batch = (target.batch, *shape)
        return onnx_call(export_onnx(network, batch), batch, target.threads)
    device = torch.device(target.device)
    return torch_call(_Vector(network), torch.zeros(target.batch, *shape, device=device), device)


def torch_call(network: nn.Module, images: torch.Tensor, device: torch.device) -> Call:
    """``network`` in eager mode, channels-last, on ``device``; a call waits for a GPU to finish."""
    network = network.to(device, memory_format=torch.channels_last).eval()
    images = images.to(device).contiguous(memory_format=torch.channels_last)

    def call() -> None:
        with torch.inference_mode():
            network(images)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return call


@contextlib.contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """torch runs on ``count`` CPU threads inside the block, and on as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Vector(nn.Module):
    """A network that returns only the embedding, of a head's several outputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.network(x)
        return y.embedding if isinstance(y, HeadOutput) else y


def export_onnx(network: nn.Module, shape: tuple[int, ...], opset: int | None = None) -> bytes:
    """``network``, put in eval mode, as an ``.onnx`` file that is called with ``shape``, its batch included."""
    file, network = io.BytesIO(), _Vector(network).eval()
    with warnings.catch_warnings():  # this exporter is deprecated; the other one needs a further package
        warnings.simplefilter("ignore")
        names = {"input_names": ["images"], "output_names": ["vectors"]}
        torch.onnx.export(network, (torch.zeros(shape),), file, dynamo=False, opset_version=opset, **names)
    return file.getvalue()

"""A network, or a part of one, made ready to be called on a latency target."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from reid.models.heads import HeadOutput
from search.latency.targets import Target

Call = Callable[[], object]
"""Runs the network once and returns when it is done."""


def prepare(network: nn.Module, shape: tuple[int, int, int], target: Target) -> Call:
    """``network`` on ``target`` and a batch of zeros of ``shape`` ``(C, H, W)``, in eval mode; it is moved there."""
    network = _Vector(network).eval()
    if target.runtime == "onnx":
        return _onnx_call(network, torch.zeros(target.batch, *shape), target.threads)
    device = torch.device(target.device)
    return torch_call(network, torch.zeros(target.batch, *shape, device=device), device)


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
    """What a network is called for: of a head's several outputs the embedding."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.network(x)
        return y.embedding if isinstance(y, HeadOutput) else y


def _onnx_call(network: nn.Module, images: torch.Tensor, threads: int) -> Call:
    import onnxruntime  # of the extra "export"

    file = io.BytesIO()
    with warnings.catch_warnings():  # this exporter is deprecated; the other one needs a further package
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (images,), file, dynamo=False, input_names=["images"], output_names=["vectors"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    feed = {"images": np.ascontiguousarray(images.numpy())}
    return lambda: session.run(None, feed)

"""Deployment: a trained network as an ``.onnx`` file that is checked against PyTorch, and as an int8 ``.onnx`` file.

::

    about = FileAbout(name, size, network.feature_dim, flops, parameters, sha256, pixels=True)
    parities = export_network(network, about, Path("network.onnx"), {"random": random_pixels(32, size)})
    quantise(Path("network.onnx"), Path("network-int8.onnx"), about, training_pixels)
"""

from evaluation.export.about import FileAbout
from evaluation.export.graph import OPSET, export_network
from evaluation.export.int8 import quantise
from evaluation.export.memory import Memory, peak_memory
from evaluation.export.parity import Parity, measure_parity, random_pixels
from evaluation.export.runtime import check_installed, feed_of, open_session

__all__ = [
    "OPSET",
    "FileAbout",
    "Memory",
    "Parity",
    "check_installed",
    "export_network",
    "feed_of",
    "measure_parity",
    "open_session",
    "peak_memory",
    "quantise",
    "random_pixels",
]

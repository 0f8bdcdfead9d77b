"""Every backbone can be traced: counted by fvcore and exported to ONNX with the same output."""

from __future__ import annotations

import io
import warnings

import pytest
import torch

from reid.models.backbones import BACKBONES, build_backbone
from reid.models.backbones.timm_backbone import TIMM_MODELS
from search.costs import network_counts

LIGHT = {"resnet18_ibn_a", "mobilenetv3_small_100"}
ALL = [pytest.param(name, marks=() if name in LIGHT else pytest.mark.slow) for name in BACKBONES]


@pytest.mark.parametrize("name", ALL)
def test_onnx_gives_the_same_map(name):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    if name in TIMM_MODELS:
        pytest.importorskip("timm")
    torch.manual_seed(0)
    backbone, images, file = build_backbone(name).eval(), torch.randn(2, 3, 64, 32), io.BytesIO()
    with warnings.catch_warnings():  # this exporter is deprecated; the other one needs a further package
        warnings.simplefilter("ignore")
        axes = {"images": {0: "n"}, "map": {0: "n"}}
        names = {"input_names": ["images"], "output_names": ["map"]}
        torch.onnx.export(backbone, (images[:1],), file, dynamo=False, dynamic_axes=axes, **names)
    (got,) = runtime.InferenceSession(file.getvalue()).run(None, {"images": images.numpy()})
    with torch.no_grad():
        wanted = backbone(images)
    torch.testing.assert_close(torch.from_numpy(got), wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize(
    ("name", "last_stride", "gflops"), [("resnet18", 2, 1.814), ("resnet34", 2, 3.664), ("resnet50", 2, 4.089)]
)
def test_multiply_adds_are_those_of_torchvisions_table(name, last_stride, gflops):
    """torchvision's "GFLOPS" at 224x224 are multiply-adds of convolutions and of the classifier."""
    backbone = build_backbone(name, last_stride)
    macs = network_counts(backbone, (224, 224)).conv_linear + 1000 * backbone.feature_width
    assert macs == pytest.approx(gflops * 1e9, abs=0.5e6)


def test_instance_normalisation_is_counted():
    """fvcore counts BN as 2 for each element (scale and shift are known beforehand) and instance normalisation, which
    has to look at its input, as 5: IBN-a adds 3 for each element of half of every first BN of the first three stages.
    """
    plain, ibn = (network_counts(build_backbone(name, 2), (64, 32)) for name in ("resnet18", "resnet18_ibn_a"))
    halves = 2 * (32 * 16 * 8 + 64 * 8 * 4 + 128 * 4 * 2)  # two blocks a stage
    assert plain.conv_linear == ibn.conv_linear
    assert ibn.flops - plain.flops == 3 * halves

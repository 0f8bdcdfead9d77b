"""timm's networks against timm itself."""

from __future__ import annotations

import pytest
import torch

from reid.models.backbones import build_backbone
from reid.models.backbones.timm_backbone import TIMM_MODELS

timm = pytest.importorskip("timm")

ALL = [pytest.param(name, marks=pytest.mark.slow if name == "efficientnetv2_s" else ()) for name in TIMM_MODELS]


@pytest.mark.parametrize("name", ALL)
def test_map_is_timms(name):
    torch.manual_seed(0)
    theirs = timm.create_model(TIMM_MODELS[name]).eval()
    backbone = build_backbone(name, last_stride=2).eval()
    own = backbone.state_dict()
    backbone.load_state_dict({key: theirs.state_dict()[key.removeprefix("trunk.")] for key in own})
    pixels = torch.rand(2, 3, 64, 32)
    mean, std = (torch.tensor(theirs.pretrained_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    usual_mean, usual_std = (
        torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    with torch.no_grad():
        wanted = theirs.forward_features((pixels - mean) / std)
        torch.testing.assert_close(backbone((pixels - usual_mean) / usual_std), wanted, rtol=1e-4, atol=1e-5)


def test_renormalisation_is_where_the_weights_need_it():
    with torch.no_grad():
        for name, mean in (("mobilenetv3_small_100", 0.485), ("efficientnetv2_s", 0.5)):
            backbone = build_backbone(name)
            red = (0.7 - 0.485) / 0.229  # a pixel of 0.7, as the data pipeline gives it
            std = 0.229 if mean == 0.485 else 0.5
            wanted = (0.7 - mean) / std
            assert float(red * backbone.scale[0, 0, 0] + backbone.shift[0, 0, 0]) == pytest.approx(wanted, abs=1e-6)
            assert "scale" not in backbone.state_dict() and "shift" not in backbone.state_dict()


@pytest.mark.parametrize("name", ALL)
def test_last_stride_is_taken_from_the_last_layer_that_has_one(name):
    """Two networks differ in that layer's stride alone, so all maps before it are equal."""
    strides = {}
    for last_stride in (1, 2):
        with torch.device("meta"):
            trunk = build_backbone(name, last_stride).trunk
        strides[last_stride] = {
            place: layer.stride[0] for place, layer in trunk.named_modules() if isinstance(layer, torch.nn.Conv2d)
        }
    changed = [place for place, stride in strides[2].items() if strides[1][place] != stride]
    assert changed == [[place for place, stride in strides[2].items() if stride == 2][-1]]
    assert strides[1][changed[0]] == 1

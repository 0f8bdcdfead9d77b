"""Plain blocks with every extra: against torchvision's MobileNetV3, through ONNX, and as an optimizer sees them."""

from __future__ import annotations

import io
import warnings

import pytest
import torch
from torch import nn
from torchvision.models.mobilenetv3 import InvertedResidual as PeersBlock
from torchvision.models.mobilenetv3 import InvertedResidualConfig

from reid.engine.recipe.optimizers import OptimizerConfig, build_optimizer
from reid.models.backbones.ibn import IBN
from supernet.layers.activations import ACTIVATIONS, activate, activation_layer
from supernet.layers.blocks import InvertedResidual
from supernet.layers.squeeze_excite import SqueezeExcite
from supernet.network import build_network
from supernet.space.genome import largest
from supernet.supernet import Supernet
from tests.supernet.stirring import stirred


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("se", "act"), [(True, "h-swish"), (False, "h-swish"), (True, "relu6")])
def test_block_equals_mobilenetv3s(se, act, training):
    """torchvision's block has ReLU, which is ReLU6 for what is below 6."""
    torch.manual_seed(0)
    ours = stirred(InvertedResidual(16, 16, 5, 4, 1, se=se, act=act)).train(training)
    settings = InvertedResidualConfig(16, 5, 64, 16, se, "HS" if act == "h-swish" else "RE", 1, 1, 1.0)
    theirs = PeersBlock(settings, nn.BatchNorm2d).train(training)
    # The names differ, the order of the layers does not.
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    x = 0.1 * torch.randn(3, 16, 9, 5)
    torch.testing.assert_close(ours(x.clone()), theirs(x.clone()), rtol=1e-5, atol=1e-5)


def test_ibn_is_on_the_first_normalisation_alone():
    with_ibn, bare = InvertedResidual(8, 8, 3, 3, 1, ibn=True), InvertedResidual(8, 8, 3, 1, 1, ibn=True)
    assert isinstance(with_ibn.conv_pw.bn, IBN) and isinstance(with_ibn.bn_dw, nn.BatchNorm2d)
    assert not any(isinstance(layer, IBN) for layer in bare.modules())


def test_activations():
    x = torch.linspace(-5, 8, 60)
    for name, wanted in {"relu6": x.clamp(0, 6), "h-swish": x * (x + 3).clamp(0, 6) / 6}.items():
        assert name in ACTIVATIONS
        torch.testing.assert_close(activation_layer(name)(x.clone()), wanted)
        torch.testing.assert_close(activate(x.clone(), name), wanted)


@pytest.fixture(scope="module")
def network(plus_space):
    torch.manual_seed(0)
    return build_network(largest(plus_space))


def test_initial_weights(network):
    """torchvision's MobileNetV3: biases of convolutions at 0, scales of every normalisation at 1, shifts at 0."""
    for layer in network.modules():
        if isinstance(layer, SqueezeExcite):
            assert not layer.fc1.bias.any() and not layer.fc2.bias.any()
            assert float(layer.fc2.weight.detach().std()) == pytest.approx((2 / layer.fc2.out_channels) ** 0.5, rel=0.3)
        if isinstance(layer, nn.InstanceNorm2d):
            assert (layer.weight == 1).all() and not layer.bias.any() and not layer.track_running_stats


@pytest.mark.parametrize("elastic", [False, True])
def test_decay_is_on_weights_of_convolutions_alone(network, plus_space, elastic):
    model = Supernet(plus_space) if elastic else network
    task = nn.ModuleDict({"supernet" if elastic else "network": model})
    optimizer = build_optimizer(task, OptimizerConfig(decay_norm_and_bias=False, weight_decay=0.1))
    decayed = {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {id(p) for p in model.parameters() if p.ndim == 4}
    everything = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert everything == {id(p) for p in model.parameters() if p.requires_grad}
    assert {group["group"] for group in optimizer.param_groups} == {"backbone", "head"}


def test_onnx_gives_the_same_embedding(network, plus_space):
    """Instance normalisation looks at each image in eval mode too, so other images in the batch change nothing."""
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    network = stirred(network).eval()
    images, file = torch.randn(3, 3, *plus_space.input_size), io.BytesIO()
    with warnings.catch_warnings():  # this exporter is deprecated; the other one needs a further package
        warnings.simplefilter("ignore")
        axes = {"images": {0: "n"}, "vectors": {0: "n"}}
        names = {"input_names": ["images"], "output_names": ["vectors"]}
        torch.onnx.export(network, (images[:1],), file, dynamo=False, dynamic_axes=axes, **names)
    (got,) = runtime.InferenceSession(file.getvalue()).run(None, {"images": images.numpy()})
    with torch.no_grad():
        wanted, alone = network(images), network(images[1:2])
    scale = float(wanted.abs().max())
    torch.testing.assert_close(torch.from_numpy(got), wanted, rtol=0, atol=1e-5 * scale)
    torch.testing.assert_close(alone, wanted[1:2], rtol=0, atol=1e-5 * scale)

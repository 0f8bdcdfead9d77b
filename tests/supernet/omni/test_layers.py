"""Plain omni-scale layers: against this project's OSNet, by hand, and what may be made of them."""

from __future__ import annotations

import io
import warnings

import pytest
import torch
from torch import nn

from reid.models.backbones import build_backbone
from reid.models.backbones.osnet import OSNET_CHANNELS
from reid.models.backbones.osnet_blocks import OSBlock
from search.costs import CostTable, network_flops
from supernet.arch import Arch
from supernet.files import load_space
from supernet.network import ArchBackbone, build_network
from supernet.omni.arch import OmniBlock, OmniStage
from supernet.omni.layers import OmniScale, Transition
from supernet.space.genome import contains, largest
from tests.supernet.stirring import stirred

SIZE = (256, 128)


def osnet(name: str, size: tuple[int, int] = SIZE) -> Arch:
    """OSNet of a name in the registry as an arch."""
    stem, *widths = OSNET_CHANNELS[name]
    stages = tuple(
        OmniStage(width, stride, (OmniBlock(width // 4, 4, 3),) * 2, transition=stride == 2)
        for width, stride in zip(widths, (2, 2, 1), strict=True)
    )
    return Arch(size, stem, stages, widths[-1], stem_kernel=7, stem_pool=True)


def copied(theirs: nn.Module, ours: nn.Module) -> nn.Module:
    """``theirs`` with the weights of ``ours``: their names differ, the order of the layers does not."""
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    return theirs


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("inputs", [32, 64], ids=["projected", "identity"])
def test_block_equals_osnets(inputs, training):
    torch.manual_seed(0)
    ours = stirred(OmniScale(inputs, 64, 16, 4, 3, project=inputs != 64)).double().train(training)
    theirs = copied(OSBlock(inputs, 64).double(), ours).train(training)
    x = torch.randn(3, inputs, 9, 5, dtype=torch.float64)
    torch.testing.assert_close(ours(x.clone()), theirs(x.clone()), rtol=1e-9, atol=1e-9)


def test_whole_network_equals_osnet():
    torch.manual_seed(0)
    ours = stirred(ArchBackbone(osnet("osnet_x0_25", (64, 32)))).eval()
    theirs = copied(build_backbone("osnet_x0_25"), ours).eval()
    images = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        wanted = theirs(images)
        torch.testing.assert_close(ours(images), wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


def test_space_holds_osnet_at_its_own_flops():
    space, arch = load_space("osnet-like"), osnet("osnet_x0_5")
    assert contains(space, arch) and contains(space, osnet("osnet_x0_25"))
    whole = network_flops(build_backbone("osnet_x0_5"), SIZE)
    assert network_flops(ArchBackbone(arch), SIZE) == whole
    assert CostTable().flops(arch) == whole + 128 * arch.last_width + 2 * arch.last_width  # the head's pooling and BN


@pytest.mark.parametrize("streams", [1, 2, 3])
def test_block_by_hand(streams):
    torch.manual_seed(0)
    block, x = stirred(OmniScale(8, 8, 8, streams, 3, project=False)).eval(), torch.randn(2, 8, 6, 4)
    assert [len(stream) for stream in block.streams] == list(range(1, streams + 1))
    y = block.conv1(x)
    gated = [block.gate(stream(y)) for stream in block.streams]
    torch.testing.assert_close(block(x.clone()), torch.relu(block.conv3(sum(gated)) + x))


def test_transition():
    x = torch.randn(2, 8, 7, 4)
    assert torch.equal(Transition(8, False, 1)(x), x)
    quarters = [x[:, :, row:6:2, column::2] for row in (0, 1) for column in (0, 1)]
    halved = Transition(8, False, 2)(x)
    torch.testing.assert_close(halved, sum(quarters) / 4)
    assert OmniStage(8, 2, (OmniBlock(8, 1, 3),)).out_size(7, 4) == halved.shape[2:]
    both = Transition(8, True, 2).eval()
    torch.testing.assert_close(both(x), nn.functional.avg_pool2d(both.conv(x), 2))


def test_onnx_gives_the_same_embedding(omni_space):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    network = stirred(build_network(largest(omni_space))).eval()
    images, file = torch.randn(3, 3, *omni_space.input_size), io.BytesIO()
    with warnings.catch_warnings():  # this exporter is deprecated; the other one needs a further package
        warnings.simplefilter("ignore")
        axes = {"images": {0: "n"}, "vectors": {0: "n"}}
        names = {"input_names": ["images"], "output_names": ["vectors"]}
        torch.onnx.export(network, (images[:1],), file, dynamo=False, dynamic_axes=axes, **names)
    (got,) = runtime.InferenceSession(file.getvalue()).run(None, {"images": images.numpy()})
    with torch.no_grad():
        wanted = network(images)
    torch.testing.assert_close(torch.from_numpy(got), wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))

"""What holds for every head: shapes, gradients, seeds, state, inference cost and export."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

from reid.models.backbones import build_backbone
from reid.models.heads import BNNeckHead, FeatureEraseConfig, HeadConfig, HeadOutput, PartsConfig, build_head
from reid.models.network import ReidNetwork
from supernet.files import mobilenet_v2
from supernet.network import build_network
from supernet.supernet import ElasticHead

CHANNELS = 6


class _Retrieval(nn.Module):
    """What is exported: the retrieval vector alone."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, feature_map: torch.Tensor) -> torch.Tensor:
        return self.head(feature_map).embedding


def _trained_a_little(config: HeadConfig, maps: torch.Tensor) -> nn.Module:
    """Running statistics that are not those of a fresh BN."""
    head = build_head(config, CHANNELS).train()
    for _ in range(3):
        head(maps)
    return head


def test_shapes_and_dims(config, maps):
    head = build_head(config, CHANNELS)
    trained, inferred = head.train()(maps), head.eval()(maps)
    assert isinstance(trained, HeadOutput)
    assert trained.embedding.shape == inferred.embedding.shape == (5, head.dim)
    assert trained.feature.shape == inferred.feature.shape and trained.feature.ndim == 2
    assert tuple(part.shape[1] for part in trained.parts) == head.part_dims
    assert len(head.part_dims) == len(head.part_classifiers)
    # Inference gives a leading part of what training gives; classifiers are numbered without gaps.
    assert tuple(part.shape[1] for part in inferred.parts) == head.part_dims[: len(inferred.parts)]
    assert set(head.part_classifiers) == set(range(max(head.part_classifiers) + 1))


def test_gradient_reaches_every_parameter(config, maps):
    head = build_head(config, CHANNELS).train()
    output = head(maps)
    vectors = (output.feature, *output.parts)
    sum((vector * torch.randn_like(vector)).sum() for vector in vectors).backward()
    trained = {name: parameter for name, parameter in head.named_parameters() if parameter.requires_grad}
    for name, parameter in trained.items():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()), name
        assert float(parameter.grad.abs().sum()) > 0, name


def test_only_bnneck_shifts_are_frozen(config):
    frozen = {name for name, p in build_head(config, CHANNELS).named_parameters() if not p.requires_grad}
    wanted = set()
    if config.neck == "bnneck":
        wanted.add("whole.neck.bias" if config.parts else "neck.bias")
    if config.parts and not config.parts.global_branch:
        wanted.clear()
    if config.parts and config.parts.neck == "bnneck":
        wanted |= {f"stripes.{i}.neck.bias" for i in range(config.parts.stripes)}
    assert frozen == wanted


def test_seed_decides_a_training_step(config, maps):
    """Resumed runs seed torch's generator for each step; nothing else may hold random state."""
    state = build_head(config, CHANNELS).state_dict()
    outputs = []
    for _ in range(2):
        head = build_head(config, CHANNELS).train()
        head.load_state_dict(state)
        torch.manual_seed(7)
        output = head(maps)
        outputs.append((output.feature, output.embedding, *output.parts))
    assert all(torch.equal(one, other) for one, other in zip(*outputs, strict=True))


def test_state_dict_round_trip(config, maps):
    head = _trained_a_little(config, maps).eval()
    other = build_head(config, CHANNELS).eval()
    assert not torch.equal(head(maps).embedding, other(maps).embedding)
    other.load_state_dict(head.state_dict())
    assert torch.equal(head(maps).embedding, other(maps).embedding)


def test_inference_repeats_itself_and_looks_at_each_image_alone(config, maps):
    head = _trained_a_little(config, maps).eval()
    embedding = head(maps).embedding
    assert torch.equal(embedding, head(maps).embedding)
    alone = torch.cat([head(image[None]).embedding for image in maps])
    torch.testing.assert_close(alone, embedding, rtol=1e-4, atol=1e-5)
    if config.normalize:
        torch.testing.assert_close(embedding.norm(dim=1), torch.ones(5))


def test_channels_last_gives_the_same(config, maps):
    head = _trained_a_little(config, maps).eval()
    wanted = head(maps).embedding
    torch.testing.assert_close(head(maps.contiguous(memory_format=torch.channels_last)).embedding, wanted)


def test_bf16_autocast_is_near_float32(config, maps):
    head = _trained_a_little(config, maps).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        near = head(maps.bfloat16()).embedding
    torch.testing.assert_close(near.float(), head(maps).embedding, rtol=0.1, atol=0.1)


def test_mask_and_dropout_by_hand(maps):
    """Gates are of the pooled map, also where the embedding is as long."""
    head = build_head(HeadConfig(embedding=CHANNELS, mask=True, dropout=0.5), CHANNELS).train()
    output = head(maps)
    pooled = maps.mean((2, 3))
    gates = torch.sigmoid(nn.functional.batch_norm(pooled @ head.mask.fc.weight.T, None, None, training=True))
    vector = nn.functional.batch_norm(pooled @ head.embed.weight.T, None, None, training=True) * gates
    torch.testing.assert_close(output.embedding, vector)  # what is retrieved has no dropout
    kept = output.parts[0] != 0
    assert 0 < int(kept.sum()) < kept.numel()
    torch.testing.assert_close(output.parts[0], torch.where(kept, 2 * vector, 0.0))


def test_torchreids_fc_by_hand(maps):
    head = build_head(HeadConfig(embedding=4, neck="bn", relu=True), CHANNELS).train()
    output, linear = head(maps), maps.mean((2, 3)) @ head.embed.weight.T
    torch.testing.assert_close(output.feature, linear)
    normal = nn.functional.batch_norm(linear, None, None, training=True)
    torch.testing.assert_close(output.embedding, normal.relu())


def test_the_map_is_erased_before_it_is_pooled(maps):
    head = build_head(HeadConfig(erase=FeatureEraseConfig()), CHANNELS).train()
    with torch.random.fork_rng(devices=[]):
        feature = head(maps).feature
    torch.testing.assert_close(feature, head.erase(maps).mean((2, 3)))
    assert not torch.allclose(feature, maps.mean((2, 3)))


def test_normalize_leaves_what_is_classified(maps):
    output = build_head(HeadConfig(normalize=True), CHANNELS).train()(maps)
    norms = output.parts[0].detach().norm(dim=1, keepdim=True)
    assert float((norms - 1).abs().max()) > 0.1
    torch.testing.assert_close(output.embedding * norms, output.parts[0])


@pytest.mark.parametrize("embedding", [None, 4])
def test_default_head_is_the_bnneck_head_and_takes_the_elastic_ones_weights(maps, embedding):
    head, bnneck = build_head(HeadConfig(embedding=embedding), CHANNELS), BNNeckHead(CHANNELS, embedding)
    names = {"neck.weight", "neck.bias", "neck.running_mean", "neck.running_var", "neck.num_batches_tracked"}
    assert set(head.state_dict()) == set(bnneck.state_dict()) == names | ({"embed.weight"} if embedding else set())
    elastic = ElasticHead(CHANNELS, embedding).eval()
    elastic.neck.running_mean.normal_()
    elastic.copy_to(head)
    output = head.eval()(maps)
    torch.testing.assert_close(output.embedding, elastic(maps).embedding)
    assert output.parts[0] is output.embedding


def _flops(module: nn.Module, *shape: int) -> int:
    fvcore = pytest.importorskip("fvcore.nn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        analysis = fvcore.FlopCountAnalysis(module.eval(), torch.zeros(1, *shape))
        return int(analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total())


def test_inference_flops():
    """C h w for the pooling, C E for the embedding and 2 E for the BN; stripes that do not retrieve cost nothing."""
    base = HeadConfig(embedding=4)
    plain = 6 * 8 * 4 + 6 * 4 + 2 * 4
    shape = (CHANNELS, 8, 4)
    assert _flops(_Retrieval(build_head(base, CHANNELS)), *shape) == plain
    parts = PartsConfig(stripes=4, embedding=3, mask=True, retrieve="global")
    assert _flops(_Retrieval(build_head(replace(base, parts=parts), CHANNELS)), *shape) == plain
    stripes = 6 * 8 * 4 + 4 * (6 * 3 + 2 * 3)
    parts = replace(parts, mask=False, retrieve="all")
    assert _flops(_Retrieval(build_head(replace(base, parts=parts), CHANNELS)), *shape) == plain + stripes


@pytest.fixture(scope="module")
def backbones() -> dict[str, tuple[nn.Module, int]]:
    """Backbones with the widths of their feature maps: a ResNet and an arch."""
    arch = mobilenet_v2((192, 32))
    return {
        "resnet18": (build_backbone("resnet18"), 512),
        "mobilenetv2": (build_network(arch).backbone, arch.feature_width),
    }


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2"])
def test_any_head_on_any_backbone(config, backbones, name):
    backbone, width = backbones[name]
    network = ReidNetwork(backbone, build_head(config, width)).eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 3, 192, 32)).shape == (2, network.feature_dim)


def test_onnx_runtime_gives_the_same(config, maps):
    """Exported at batch 5 and run at batch 2: 8 rows and stripes of equal and of unequal heights."""
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    module = _Retrieval(_trained_a_little(config, maps)).eval()
    file = io.BytesIO()
    axes = {"maps": {0: "n"}, "embedding": {0: "n"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is deprecated, and says that stripes are fixed in the trace
        torch.onnx.export(
            module, (maps,), file, dynamo=False, input_names=["maps"], output_names=["embedding"], dynamic_axes=axes
        )
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    other = maps.flip(0)[:2] * 1.5
    (embedding,) = session.run(None, {"maps": other.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(embedding), module(other), rtol=1e-5, atol=1e-5)

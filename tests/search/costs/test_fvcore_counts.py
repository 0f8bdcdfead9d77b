"""What fvcore is told of operators that it has no handle for."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from search.costs import network_counts, network_flops


class _Attention(nn.Module):
    """The map's places ask a quarter of them, by keys of 8 numbers for values of 12; in one call or written out."""

    def __init__(self, in_one_call: bool) -> None:
        super().__init__()
        self.in_one_call = in_one_call
        self.query, self.key, self.value = (nn.Conv2d(3, 2 * width, 1) for width in (8, 8, 12))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        query = self._heads(self.query(images))
        key, value = (self._heads(layer(images[:, :, ::2, ::2])) for layer in (self.key, self.value))
        if self.in_one_call:
            return F.scaled_dot_product_attention(query, key, value)
        return torch.softmax(query @ key.transpose(-2, -1) / 8**0.5, dim=-1) @ value

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2).unflatten(1, (2, -1)).transpose(-2, -1)


def test_attention_counts_as_much_in_one_call_as_written_out():
    whole, parts = (_Attention(in_one_call) for in_one_call in (True, False))
    whole.load_state_dict(parts.state_dict())
    images = torch.randn(1, 3, 8, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(whole(images), parts(images))
    convolutions = 3 * (16 * 32 + (16 + 24) * 8)
    assert network_flops(whole, (8, 4)) == network_flops(parts, (8, 4)) == convolutions + 2 * 32 * 8 * (8 + 12)
    assert network_counts(whole, (8, 4)) == network_counts(parts, (8, 4))
    assert network_counts(whole, (8, 4)).conv_linear == convolutions


@pytest.mark.parametrize("name", ["tiny_vit_5m_224", "pvt_v2_b0"])
def test_attention_of_timm_counts_however_it_is_computed(name):
    timm = pytest.importorskip("timm")
    from reid.models.backbones.registry import build_backbone

    def flops(fused: bool) -> int:
        timm.layers.set_fused_attn(fused)
        try:
            return network_flops(build_backbone(f"timm:{name}"), (64, 32))
        finally:
            timm.layers.set_fused_attn(True)

    assert flops(True) == flops(False)

"""Backbones by name: what can be built, and with which last stride."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from reid.errors import UserError, nearest
from reid.models.backbones.osnet import OSNET_CHANNELS, OSNet, osnet_imagenet_url
from reid.models.backbones.resnet import ResNetBackbone, resnet_imagenet_url
from reid.models.backbones.timm_any import PREFIX, TimmFeatures, timm_any_url
from reid.models.backbones.timm_backbone import TIMM_MODELS, TimmBackbone, timm_imagenet_url


@dataclass(frozen=True)
class BackboneKind:
    """How one family of backbones is made.

    Attributes:
        build: from name and last stride to the network with fresh weights.
        last_strides: strides that the last stage can have; the first is what ReID work usually takes.
        imagenet_url: from the name to the address of published ImageNet weights.
    """

    build: Callable[[str, int], nn.Module]
    last_strides: tuple[int, ...]
    imagenet_url: Callable[[str], str]


_RESNET = BackboneKind(ResNetBackbone, (1, 2), resnet_imagenet_url)
# OSNet's last stage has stride 1 by design: its map has 1/16 of the image's sides, like a ResNet's at last stride 1.
_OSNET = BackboneKind(lambda name, last_stride: OSNet(name), (1,), osnet_imagenet_url)
_TIMM = BackboneKind(TimmBackbone, (2, 1), timm_imagenet_url)

BACKBONES: dict[str, BackboneKind] = {
    **{f"resnet{depth}{ibn}": _RESNET for ibn in ("", "_ibn_a") for depth in (18, 34, 50, 101)},
    **dict.fromkeys(OSNET_CHANNELS, _OSNET),
    **dict.fromkeys(TIMM_MODELS, _TIMM),
}

_TIMM_ANY = BackboneKind(TimmFeatures, (2, 1), timm_any_url)


def backbone_kind(name: str) -> BackboneKind | None:
    """The family of the backbone called ``name``: one of ``BACKBONES``, or ``timm:`` and a name of timm's; ``None``
    where no backbone has that name."""
    return _TIMM_ANY if name.startswith(PREFIX) else BACKBONES.get(name)


def build_backbone(name: str, last_stride: int | None = None) -> nn.Module:
    """The backbone called ``name`` with fresh weights from torch's global generator, initialised as its paper's code
    does.

    It maps images ``(N, 3, H, W)`` to a feature map ``(N, C, h, w)``; ``feature_width`` is ``C`` and ``name`` its
    name. ``h`` is ``H / 32`` at last stride 2 and ``H / 16`` at 1, rounded up (by OSNet's two poolings, down).

    Args:
        name: a name in ``BACKBONES``, or ``timm:`` and a name of timm's (see ``TimmFeatures``).
        last_stride: stride of the last stage that has one. ``None`` is the network's usual value in ReID: 1 for the
            ResNets (Luo et al. 2019) and for OSNet, which has no other; 2, the original, for all of timm's.

    Raises:
        UserError: no backbone has that name, it has no such last stride, or timm is needed and not installed.
    """
    kind = backbone_kind(name)
    if kind is None:
        known = f"; known: {', '.join(BACKBONES)}, {PREFIX}NAME for timm's"
        raise UserError(f"no backbone is called '{name}'{nearest(name, BACKBONES) or known}")
    if last_stride is None:
        last_stride = kind.last_strides[0]
    if last_stride not in kind.last_strides:
        known = " or ".join(map(str, sorted(kind.last_strides)))
        raise UserError(f"last_stride {last_stride}: must be {known} for {name}")
    return kind.build(name, last_stride)

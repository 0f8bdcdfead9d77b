"""Backbones by name, each from images ``(N, 3, H, W)`` to a feature map, and pretrained weights for them."""

from reid.models.backbones.registry import BACKBONES, BackboneKind, backbone_kind, build_backbone
from reid.models.backbones.weights import PretrainedReport, load_pretrained

__all__ = ["BACKBONES", "BackboneKind", "PretrainedReport", "backbone_kind", "build_backbone", "load_pretrained"]

"""Heads: from a backbone's feature map to the vector that persons are compared by."""

from reid.models.classifiers import Classifier, CosineClassifier
from reid.models.heads.branch_update import BranchRule, select_parts
from reid.models.heads.build import build_head
from reid.models.heads.config import DEFAULT_HEAD, FeatureEraseConfig, HeadConfig, PartsConfig, SpectralConfig
from reid.models.heads.output import HeadOutput
from reid.models.heads.plain import BNNeckHead, PlainHead
from reid.models.heads.stripes import PartHead

__all__ = [
    "BNNeckHead",
    "DEFAULT_HEAD",
    "BranchRule",
    "Classifier",
    "CosineClassifier",
    "FeatureEraseConfig",
    "HeadConfig",
    "HeadOutput",
    "PartHead",
    "PartsConfig",
    "PlainHead",
    "SpectralConfig",
    "build_head",
    "select_parts",
]

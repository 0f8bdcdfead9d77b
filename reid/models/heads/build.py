"""``build_head(config, in_channels)``."""

from __future__ import annotations

from reid.models.heads.config import HeadConfig
from reid.models.heads.plain import PlainHead
from reid.models.heads.stripes import PartHead


def build_head(config: HeadConfig, in_channels: int) -> PlainHead | PartHead:
    """The config's head for feature maps ``(N, in_channels, h, w)``, with fresh weights from torch's global generator.

    Random numbers in training (dropout, erasing) come from torch's default generators too: seed them for each step and
    a resumed training draws what an unbroken one would. Everything that looks at a batch as a whole (BN, spectral
    feature transformation) sees the batch of its own process.
    """
    return PlainHead(config, in_channels) if config.parts is None else PartHead(config, in_channels)

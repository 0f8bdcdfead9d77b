"""An arch: one fully written network as a value, and its stages."""

from supernet.arch.arch import Arch
from supernet.arch.stage import INVERTED_RESIDUAL, AnyStage, Block, Stage

__all__ = ["INVERTED_RESIDUAL", "AnyStage", "Arch", "Block", "Stage"]

"""How a network is trained: the recipe and its parts, each with its settings and their meaning."""

from reid.engine.recipe.optimizers import OptimizerConfig
from reid.engine.recipe.recipe import Recipe
from reid.engine.recipe.schedule import ScheduleConfig
from reid.losses.config import LossConfig

__all__ = ["LossConfig", "OptimizerConfig", "Recipe", "ScheduleConfig"]

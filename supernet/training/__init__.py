"""Training a supernet: its recipe, which archs a step runs, and the task that makes a gradient of them."""

from supernet.training.recipe import SupernetRecipe
from supernet.training.task import SupernetTask

__all__ = ["SupernetRecipe", "SupernetTask"]

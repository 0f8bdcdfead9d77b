"""Training a supernet: its recipe, which archs a step runs, and the task that computes their gradient."""

from supernet.training.recipe import SupernetRecipe
from supernet.training.task import SupernetTask

__all__ = ["SupernetRecipe", "SupernetTask"]

"""The Pareto front: candidates that no other one beats, sorting into fronts, and the hypervolume."""

from search.front.pareto import COSTS, cost_fields, knees, pareto_front, words_of, write_front

__all__ = [
    "COSTS",
    "cost_fields",
    "knees",
    "pareto_front",
    "words_of",
    "write_front",
]

"""The Pareto front: which candidates no other one beats, and how fronts are sorted and weighed."""

from search.front.pareto import COSTS, cost_fields, knees, pareto_front, words_of, write_front

__all__ = [
    "COSTS",
    "cost_fields",
    "knees",
    "pareto_front",
    "words_of",
    "write_front",
]

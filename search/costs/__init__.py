"""Costs of archs and networks: FLOPs as fvcore counts them, parameters, and their breakdown."""

from search.costs.fvcore_counts import NetworkCounts, network_counts, network_flops, whole_network_flops
from search.costs.table import CostTable, flops_range
from search.costs.unit_costs import UnitCost, unit_costs

__all__ = [
    "CostTable",
    "NetworkCounts",
    "UnitCost",
    "flops_range",
    "network_counts",
    "network_flops",
    "unit_costs",
    "whole_network_flops",
]

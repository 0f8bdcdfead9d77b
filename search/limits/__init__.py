"""Limits on the cost of an arch, and the archs of a space within them."""

from search.limits.limits import ArchCost, Limits, arch_cost
from search.limits.listing import archs_downwards
from search.limits.region import Region, make_region, sample_near

__all__ = [
    "ArchCost",
    "Limits",
    "Region",
    "arch_cost",
    "archs_downwards",
    "make_region",
    "sample_near",
]

"""Which choices moved the score in a search: adjusted marginal effects, with what may be believed of them."""

from search.explanation.effects import (
    DimensionEffect,
    Explanation,
    OptionEffect,
    explain,
)
from search.explanation.table import effects_table

__all__ = [
    "DimensionEffect",
    "Explanation",
    "OptionEffect",
    "effects_table",
    "explain",
]

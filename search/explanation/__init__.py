"""Effects of choices on the score in a search: adjusted marginal effects, with notes on their reliability."""

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

"""Search spaces: which archs a search may choose from, and the genomes that encode a choice."""

from supernet.space.options import Genome, Option
from supernet.space.space import Space, count_archs, decode, describe, options_of, sizes_words
from supernet.space.stage_choices import StageChoices, StageSpace

__all__ = [
    "Genome",
    "Option",
    "Space",
    "StageChoices",
    "StageSpace",
    "count_archs",
    "decode",
    "describe",
    "options_of",
    "sizes_words",
]

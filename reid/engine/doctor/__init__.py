"""The training doctor: reads a run's records and facts, and says in one line what is wrong and what helps.

``examine`` is a pure function of the training's records (``metrics.jsonl``) and its ``TrainingFacts``.
``embedding_signs`` computes signs for the records; ``random_level`` and ``identity_overlap`` compute some of the facts.
"""

from reid.engine.doctor.diagnosis import Diagnosis, Severity, Trouble
from reid.engine.doctor.examine import examine, news
from reid.engine.doctor.facts import TrainingFacts
from reid.engine.doctor.from_recipe import facts_of
from reid.engine.doctor.overlap import Overlap, identity_overlap
from reid.engine.doctor.random_level import RandomLevel, random_level
from reid.engine.doctor.signs import embedding_signs
from reid.engine.doctor.words import COLUMNS, line, rows

__all__ = [
    "COLUMNS",
    "Diagnosis",
    "Overlap",
    "RandomLevel",
    "Severity",
    "TrainingFacts",
    "Trouble",
    "embedding_signs",
    "examine",
    "facts_of",
    "identity_overlap",
    "line",
    "news",
    "random_level",
    "rows",
]

"""Proposers of archs to evaluate: random search, evolution, and evolution of the whole front."""

from __future__ import annotations

from search.proposers.evolution import EvolutionProposer
from search.proposers.pareto import ParetoProposer
from search.proposers.random import RandomProposer

STRATEGIES = {"evolution": EvolutionProposer, "pareto": ParetoProposer, "random": RandomProposer}
"""Proposers by the name that ``--strategy`` takes."""

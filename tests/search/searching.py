"""A search from plain arguments: what is asked for, and by which means, in one call."""

from __future__ import annotations

from search.asked import Asked
from search.means import Means
from search.run import run_search


def search_in(out, evaluate, space, limits, config, strategy, *, seed=0, origin=None, data=None, resume=False, **means):
    asked = Asked(space, limits, config, strategy, seed, origin or {}, data)
    return run_search(asked, Means(evaluate, **means), out, resume=resume, progress=False)

"""``Asked``: the request that a search answers. With the scores it determines which archs are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from search.config import SearchConfig
from search.limits import Limits
from supernet.space import Space


@dataclass(frozen=True)
class Asked:
    """The request of a search. A resumed search must have the same request.

    Attributes:
        space: source of the archs, at the input size that they are scored at.
        limits: limits on the archs, replacing the config's. FLOPs by fvcore's count at ``config.cost_input_size``.
        config: how much is searched and how, how many archs are chosen, and how they are named. ``trials``, ``time``,
            ``finalists``, ``top_k``, ``name_prefix`` and ``eval_batch_size`` may change on resuming.
        strategy: a name in ``search.proposers.STRATEGIES``; ``"pareto"`` chooses archs along the front, the others the
            best ones.
        seed: of all random draws.
        origin: what the scores depend on besides the settings (supernet, data, commit); kept in the arch files and the
            summary. ``commit`` may change on resuming.
        data: settings that say which persons candidates are scored on; ``None`` if unknown.
    """

    space: Space
    limits: Limits
    config: SearchConfig
    strategy: str
    seed: int = 0
    origin: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] | None = None

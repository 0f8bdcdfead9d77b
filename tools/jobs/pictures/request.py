"""Which pictures are asked for."""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.pictures.tsne import MOST
from evaluation.protocols import Protocol
from reid.errors import UserError

KINDS = ("ranked", "activations", "tsne")
QUERIES = 8
LONGEST = 50
"""Gallery images in a list, beyond which no screen shows them."""


@dataclass(frozen=True)
class Request:
    """What to draw.

    Attributes:
        kinds: some of ``KINDS``; None for all that the network and the machine allow.
        protocol: how features are made and compared.
        dataset, split: see ``tools.jobs.evaluate.datasets``.
        queries: how many; None for ``QUERIES``, or with ``pids`` all of theirs.
        pids: names of the identities whose queries are drawn; they come first in the t-SNE.
        worst: queries of the least AP first.
        top: gallery images for each query.
        maps_in_lists: draw activation maps below the images of the lists.
        persons: in the t-SNE.
        perplexity: of the t-SNE; see ``evaluation.tsne``.
    """

    kinds: tuple[str, ...] | None = None
    protocol: Protocol = Protocol(verification=False)
    dataset: str | None = None
    split: str | None = None
    queries: int | None = None
    pids: tuple[str, ...] = ()
    worst: bool = False
    top: int = 10
    maps_in_lists: bool = False
    persons: int = 10
    perplexity: float | None = None


def check_request(request: Request) -> None:
    """Raises UserError for what no data could mend."""
    for option, value, most in (
        ("--queries", request.queries, None),
        ("--top", request.top, LONGEST),
        ("--persons", request.persons, MOST),
    ):
        if value is not None and (value < 1 or most is not None and value > most):
            raise UserError(f"{option} {value}: must be {f'from 1 to {most}' if most else '1 or more'}")
    if request.split == "all":
        raise UserError("--split all: pictures are of one split; give its number")
    if request.maps_in_lists and request.kinds is not None and "ranked" not in request.kinds:
        raise UserError("--activations-in-lists: no lists are drawn; add ranked to --kinds")

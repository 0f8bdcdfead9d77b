"""The request for pictures."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from evaluation.pictures.tsne import MOST
from evaluation.protocols import Protocol
from reid.errors import UserError

KINDS = ("ranked", "activations", "tsne")
QUERIES = 8
TOP = 10
PERSONS = 10
LONGEST = 50
"""Largest number of gallery images in a list; more would not fit on a screen."""


@dataclass(frozen=True)
class Request:
    """What to draw.

    Attributes:
        kinds: some of ``KINDS``; ``None`` for all that the network and the machine allow.
        protocol: how features are made and compared.
        dataset, split: see ``tools.jobs.evaluate.datasets``.
        queries: their number; ``None`` for ``QUERIES``, or with ``pids`` for all of theirs.
        pids: names of the identities whose queries are drawn; they come first in the t-SNE.
        worst: whether to take queries of the lowest AP first.
        top: number of gallery images for each query.
        maps_in_lists: whether to draw activation maps below the images of lists.
        persons: number in the t-SNE; ``None`` for ``persons_shown``.
        perplexity: of the t-SNE; see ``evaluation.tsne``.
    """

    kinds: tuple[str, ...] | None = None
    protocol: Protocol = Protocol(verification=False)
    dataset: str | None = None
    split: str | None = None
    queries: int | None = None
    pids: tuple[str, ...] = ()
    worst: bool = False
    top: int = TOP
    maps_in_lists: bool = False
    persons: int | None = None
    perplexity: float | None = None


def check_request(request: Request) -> None:
    """Raises UserError for values that are wrong for any data, and for options of a kind that is not drawn."""
    for option, value, most in (
        ("--queries", request.queries, None),
        ("--top", request.top, LONGEST),
        ("--persons", request.persons, MOST),
    ):
        if value is not None and (value < 1 or most is not None and value > most):
            raise UserError(f"{option} {value}: must be {f'from 1 to {most}' if most else 'at least 1'}")
    if request.split == "all":
        raise UserError("--split all: pictures are drawn of one split; give its number")
    kinds = KINDS if request.kinds is None else request.kinds
    for option, given, what, of in (
        ("--activations-in-lists", request.maps_in_lists, "lists", ("ranked",)),
        ("--top", request.top != TOP, "lists", ("ranked",)),
        ("--worst", request.worst, "queries", ("ranked", "activations")),
        ("--queries", request.queries is not None, "queries", ("ranked", "activations")),
        ("--persons", request.persons is not None, "embeddings", ("tsne",)),
        ("--perplexity", request.perplexity is not None, "embeddings", ("tsne",)),
    ):
        if given and not set(of) & set(kinds):
            raise UserError(f"{option}: no {what} are drawn; add {' or '.join(of)} to --kinds")


def persons_shown(asked: int | None, named: Collection[str]) -> int:
    """Number of persons in a t-SNE: ``asked``, or else ``PERSONS``, raised to include all of ``named`` up to the number
    of distinct colours."""
    return asked or max(PERSONS, min(len(set(named)), MOST))

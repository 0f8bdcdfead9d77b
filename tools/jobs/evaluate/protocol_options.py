"""Command line options for how features are made and compared."""

from __future__ import annotations

import argparse
import dataclasses

from evaluation.protocols import Protocol
from evaluation.reranking import ReRanking
from evaluation.retrieval.distances import METRICS
from reid.config import build_config
from reid.engine.machine.device import DTYPES
from reid.errors import UserError

DEFAULT = "20,6,0.3"


def add_comparison(parser: argparse.ArgumentParser) -> None:
    """Adds ``--metric``, ``--flip`` and ``--precision``."""
    parser.add_argument(
        "--metric", choices=METRICS, default="cosine", help="distance between features (default: cosine)"
    )
    parser.add_argument(
        "--flip", action="store_true", help="average each image's features with those of its mirror image"
    )
    parser.add_argument(
        "--precision",
        choices=tuple(DTYPES),
        default="fp32",
        help="precision of the network's forward pass (default: fp32)",
    )


def add_retrieval(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``add_comparison`` and ``--rerank``."""
    add_comparison(parser)
    parser.add_argument(
        "--rerank",
        nargs="?",
        const=DEFAULT,
        metavar="K1,K2,LAMBDA",
        help=f"also score with k-reciprocal re-ranking (without values: {DEFAULT})",
    )


def add_protocol(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``add_retrieval`` and ``--fmr``."""
    add_retrieval(parser)
    parser.add_argument(
        "--fmr",
        type=float,
        default=1e-3,
        metavar="RATE",
        help="false-match rate to set the threshold for (default: 0.001)",
    )


def read_comparison(read: argparse.Namespace) -> Protocol:
    """The options of ``add_comparison``; only retrieval is scored."""
    return Protocol(read.metric, read.flip, read.precision, verification=False)


def read_retrieval(read: argparse.Namespace) -> Protocol:
    """The options of ``add_retrieval``; raises UserError for an invalid ``--rerank``."""
    rerank = None if read.rerank is None else _reranking(read.rerank)
    return dataclasses.replace(read_comparison(read), rerank=rerank)


def read_protocol(read: argparse.Namespace) -> Protocol:
    """The options of ``add_protocol``; raises UserError for an invalid one."""
    if not 0 < read.fmr < 1:
        raise UserError(f"--fmr {read.fmr:g}: must be between 0 and 1, for example 0.001")
    return dataclasses.replace(read_retrieval(read), verification=True, false_match_rate=read.fmr)


def _reranking(text: str) -> ReRanking:
    parts = text.split(",")
    if len(parts) != 3:
        raise UserError(f"--rerank {text}: must be K1,K2,LAMBDA such as {DEFAULT}")
    return build_config(ReRanking, dict(zip(("k1", "k2", "weight"), parts, strict=True)), f"--rerank {text}")

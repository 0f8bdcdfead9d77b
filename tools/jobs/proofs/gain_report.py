"""The page of a gain measurement: each network's lead over others, the table, the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.report.html import REPORT, Picture, Section, Words, write_report
from evaluation.tables import Table
from search.gain.analysis import Gain, Trained
from search.gain.statistics import Difference
from search.gain.table import network_cells, word_columns
from tools.jobs.proofs.page_parts import ending

CAPTION = (
    "A dot is a network at its mean mAP on the test set, with a bar of one standard deviation and its seeds as small "
    "dots. The line is the mean of the random archs."
)


def write_gain_report(
    out: Path,
    picture: Path,
    networks: Sequence[Trained],
    made: Sequence[Gain],
    inherited: Sequence[Trained],
    by_ways: Sequence[Gain],
    notes: tuple[str, ...],
    warnings: tuple[str, ...],
    settings: Mapping[str, Any],
) -> Path:
    """Writes ``report.html`` into ``out`` and returns its path.

    Args:
        picture: of the networks, already drawn.
        networks, made: the networks trained from scratch, and the gains between them.
        inherited, by_ways: the same for a supernet's weights; empty if these were not compared.
        notes: lines below the table of ``inherited``.
        warnings: cautions about the reliability of the gains.
        settings: everything that the gains depend on, for YAML.
    """
    sections = [
        Section("Gains", warnings, words=_gains(made), pictures=(Picture(picture, CAPTION),)),
        Section("Networks", ("mAP and Rank-1 in %, ± the standard deviation over seeds.",), _table(networks)),
    ]
    if inherited:
        table = _table(inherited, notes)
        sections.append(Section("Ways to weights", table=table, words=_gains(by_ways)))
    sections += ending(settings)
    first = made[0]
    cards = [
        (f"{first.name[0].upper()}{first.name[1:]}, mAP", difference_words(first.mAP)),
        (f"{first.name[0].upper()}{first.name[1:]}, Rank-1", difference_words(first.rank1)),
        ("Networks", str(len({network.name for network in networks}))),
        ("Trainings", str(sum(len(network.seeds) for network in networks))),
    ]
    return write_report(out / REPORT, f"{first.first} against {first.second}", cards, sections)


def difference_words(found: Difference) -> str:
    """In points: ``"+2.9 (0.9 to 4.9)"``; without an interval if there is none."""
    interval = "" if found.low is None else f" ({100 * found.low:.1f} to {100 * found.high:.1f})"
    return f"{100 * found.value:+.1f}{interval}"


def _table(networks: Sequence[Trained], notes: tuple[str, ...] = ()) -> Table:
    head, *lines = network_cells(networks)
    return Table(head, tuple(lines), notes=notes, words=word_columns(networks))


def _gains(made: Sequence[Gain]) -> Words:
    """Each gain with its intervals, and as a sentence."""
    rows = ((each.name, difference_words(each.mAP), difference_words(each.rank1), each.sentence) for each in made)
    return Words(("gain", "mAP, points", "Rank-1, points", "in words"), tuple(rows))

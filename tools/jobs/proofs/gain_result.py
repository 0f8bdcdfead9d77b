"""The output of a gain measurement: table and sentences on the terminal, ``gain.json``, ``gain.png`` and a page."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.comparison.row import read_result
from evaluation.pictures.gain import GainDot, GainPanel, draw_gain
from reid.errors import UserError
from reid.files import write_json
from reid.words import counted
from search.gain.analysis import FOUND, INHERITED, Gain, Trained, gains
from search.gain.analysis import ways as way_gains
from search.gain.table import network_table
from search.ranking.sampling import Band
from search.ranking.statistics import CONFIDENCE
from tools.jobs.paths import shown
from tools.jobs.proofs.contenders import Contender
from tools.jobs.proofs.gain_report import write_gain_report
from tools.jobs.proofs.stand_alone import Training
from tools.jobs.proofs.ways import Inheriting
from tools.jobs.runs.ownership import GAIN
from tools.jobs.runs.provenance import command, commit
from tools.jobs.runs.troubles import trouble_lines, troubles_of
from tools.jobs.training.retrain_words import at_one_place

PICTURE = "gain.png"


@dataclass(frozen=True)
class Measured:
    """Everything that was trained, in finished runs.

    Attributes:
        contenders: networks in the table's order.
        trainings: their runs by recipe.
        ways: runs with inherited weights, by the first recipe.
        band: range of FLOPs of the random archs.
        search: run folder of the search.
        dataset: name of the data set.
        config: the resolved configuration, with every recipe.
    """

    contenders: Sequence[Contender]
    trainings: Mapping[str, Sequence[Training]]
    ways: Inheriting | None
    band: Band
    search: Path
    dataset: str
    config: Mapping[str, Any]


NOTE = "note: inherited weights also had the supernet's training, which no row's epochs include"


def write_gain(out: Path, measured: Measured) -> Path:
    """Prints tables and gains and writes the files into ``out``; returns the path of ``gain.json``.

    Raises:
        UserError: a run's result or ``doctor.json`` is damaged, or results were scored on different images.
    """
    networks = [
        _trained(each.name, each.kind, recipe, [run.run for run in runs if run.name == each.name])
        for recipe, runs in measured.trainings.items()
        for each in measured.contenders
    ]
    made = gains(networks)
    inherited = _inherited(measured, networks)
    by_ways = [each for three in inherited.values() for each in way_gains(*three)]
    print(network_table(networks))
    print("\n" + "\n".join(each.sentence for each in made))
    runs = _runs(measured)
    troubles = troubles_of(runs)
    warnings = trouble_lines(troubles, len(runs))
    rows = [each for three in inherited.values() for each in three]
    notes = (NOTE, *_of_fewer(inherited))
    if inherited:
        print("\n" + network_table(rows))
        print("\n" + "\n".join(each.sentence for each in by_ways))
        print("\n".join(notes))
    if warnings:
        print("\n" + "\n".join(warnings))
    picture = draw_gain(_panels(measured, networks, inherited), out / PICTURE)
    data = _data(measured, networks, made, inherited, by_ways) | {"troubles": troubles}
    settings = {key: data[key] for key in ("dataset", "search", "band", "seeds", "intervals")}
    settings["config"] = dict(measured.config)
    write_gain_report(out, picture, networks, made, rows, by_ways, notes, warnings, settings)
    return write_json(out / GAIN, data)


def _runs(measured: Measured) -> dict[str, Path]:
    """All trainings by name and seed, and by recipe if there are several."""
    named = [(recipe, each.run) for recipe, own in measured.trainings.items() for each in own]
    named += [("", each.run) for each in (measured.ways.trainings if measured.ways else ())]
    return {f"{recipe}/{run.name}" if recipe else run.name: run for recipe, run in named}


def _trained(name: str, kind: str, recipe: str, runs: Sequence[Path]) -> Trained:
    rows = at_one_place([read_result(run) for run in runs])
    first = rows[0]
    for row, run in zip(rows, runs, strict=True):
        for key in ("flops", "parameters", "test_set", "train_set"):
            if getattr(row, key) != getattr(first, key):
                raise UserError(
                    f"{shown(run)} and {shown(runs[0])} cannot be one row: {key} differs; remove the one that is wrong"
                )
    return Trained(
        name,
        kind,
        recipe,
        first.flops,
        first.parameters,
        tuple(row.seed for row in rows),
        tuple(row.mAP for row in rows),
        tuple(row.rank1 for row in rows),
        first.train_set,
    )


def _inherited(measured: Measured, networks: Sequence[Trained]) -> dict[str, tuple[Trained, Trained, Trained]]:
    """For each found arch, its rows from scratch, with inherited weights, and with these trained further."""
    ways, recipe = measured.ways, next(iter(measured.trainings))
    if ways is None:
        return {}
    rows = {}
    for scratch in networks:
        if scratch.kind == FOUND and scratch.recipe == recipe:
            name, scored = scratch.name, ways.scored[scratch.name]
            runs = [run.run for run in ways.runs(name)]
            inherited = _trained(f"{name} inherited", INHERITED, recipe, [scored])
            tuned = _trained(f"{name} inherited + {counted(ways.epochs, 'epoch')}", FOUND, recipe, runs)
            rows[name] = (scratch, inherited, tuned)
    return rows


def _of_fewer(inherited: Mapping[str, Sequence[Trained]]) -> Iterator[str]:
    """Notes on archs whose supernet was trained on other data than their own trainings (no held-out persons)."""
    for scratch, as_it_is, _ in inherited.values():
        if as_it_is.train_set != scratch.train_set:
            yield f"note: {as_it_is.name}: trained on {as_it_is.train_set}; {scratch.name}: on {scratch.train_set}"


def _panels(
    measured: Measured, networks: Sequence[Trained], inherited: Mapping[str, Sequence[Trained]]
) -> list[GainPanel]:
    panels = [
        GainPanel(recipe or "search gain", [_dot(each) for each in networks if each.recipe == recipe])
        for recipe in measured.trainings
    ]
    own = []
    for scratch, *others in inherited.values():  # both in the supernet's colour
        own += [_dot(scratch), *(dataclasses.replace(_dot(each), kind=INHERITED) for each in others)]
    return [*panels, GainPanel("ways to weights", own)] if own else panels


def _dot(network: Trained) -> GainDot:
    return GainDot(network.name, network.kind, network.mAP)


def _data(
    measured: Measured,
    networks: Sequence[Trained],
    made: Sequence[Gain],
    inherited: Mapping[str, Sequence[Trained]],
    by_ways: Sequence[Gain],
) -> dict[str, Any]:
    runs = [training for own in measured.trainings.values() for training in own]
    data = {
        "dataset": measured.dataset,
        "search": shown(measured.search),
        "band": [measured.band.low, measured.band.high],
        "seeds": sorted({training.seed for training in runs}),
        "networks": [dataclasses.asdict(each) for each in networks],
        "gains": [_gain(each) for each in made],
        "intervals": {"method": "Student's t, Welch-Satterthwaite degrees of freedom", "confidence": CONFIDENCE},
    }
    if measured.ways is not None:
        data["ways"] = {
            "supernet": shown(measured.ways.supernet),
            "epochs": measured.ways.epochs,
            "networks": [dataclasses.asdict(each) for three in inherited.values() for each in three],
            "gains": [_gain(each) for each in by_ways],
        }
    return data | {"command": command(), "commit": commit()}


def _gain(each: Gain) -> dict[str, Any]:
    return dataclasses.asdict(each) | {"sentence": each.sentence}

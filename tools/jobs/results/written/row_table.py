"""The rows of an experiment as tables: the full one of the page, and a short one for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.tables import aligned
from search.flops_words import format_flops
from tools.jobs.results.plan.file import in_terminal
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.states import latencies
from tools.jobs.results.written.block import Block
from tools.jobs.results.written.figures import Figures

START = "starts from"
"""The column for the initial weights of trainings; shown if some start from a supernet's."""


def rows_part(setup: Setup, rows: Sequence[Figures]) -> Block:
    """The table of the rows, with notes for the reader below."""
    if not rows:
        return Block(about="No row is finished yet.")
    times = latencies(setup.places)
    timed = any(row.latency_ms is not None for row in rows)
    sizes = {row.cost_size for row in rows}
    several = len(sizes) > 1
    started = any(row.inherited for row in rows)
    headers = ("row", "recipe", *(START,) * started, "epochs", "seeds")
    headers += ("mAP (step) %", "Rank-1 %", "flip: mAP %", "flip: Rank-1 %")
    headers += ("FLOPs (M, fvcore)", "FLOPs (M, MLR's count)", "params (M)")
    headers += (f"ms ({times.get('target')})",) * timed + ("counted at",) * several
    lines = tuple(
        (
            *(row.name, row.recipe or "-", *(_start(row),) * started),
            *(str(row.epochs), ", ".join(str(seed.seed) for seed in row.seeds)),
            *(percent(row, metric) for metric in ("mAP", "rank1", "flip_mAP", "flip_rank1")),
            *(f"{row.flops / 1e6:.1f}", f"{row.flops_mlr / 1e6:.1f}", f"{row.parameters / 1e6:.2f}"),
            *((_milliseconds(row),) * timed + ("{}x{}".format(*row.cost_size),) * several),
        )
        for row in rows
    )
    return Block(headers=headers, lines=lines, words=2 + started, points=tuple(_notes(setup, rows, sizes)))


def _notes(setup: Setup, rows: Sequence[Figures], sizes: set[tuple[int, int]]) -> list[str]:
    notes = ["last weights, step AP, cosine, no re-ranking; ± is the standard deviation over seeds"]
    if len(sizes) == 1:
        notes.append("FLOPs, and latency where it is there, are at {}x{}".format(*next(iter(sizes))))
    if any(row.inherited for row in rows):
        notes.append("rows that start from a supernet also had its training, which their epochs do not include")
    for kind in ("train_set", "test_set"):
        for words in dict.fromkeys(getattr(row, kind) for row in rows):
            own = [row.name for row in rows if getattr(row, kind) == words]
            of = "" if len(own) == len(rows) else f"{', '.join(own)}: "
            notes.append(f"{of}{'trained' if kind == 'train_set' else 'tested'} on {words}")
    notes += [f"{row.name}, seed {seed.seed}: {note}" for row in rows for seed in row.seeds for note in seed.notes]
    times = latencies(setup.places)
    if times:
        machine = ", ".join(f"{key} {value}" for key, value in times["machine"].items())
        notes.append(f"latency: one image a call, the least of many rounds, all networks in turn; {machine}")
    return notes


def _start(row: Figures) -> str:
    return f"supernet {row.inherited}" if row.inherited else "scratch"


def percent(row: Figures, metric: str) -> str:
    """A score's mean over seeds, with the standard deviation if there are several."""
    spread = row.spread(metric)
    return f"{100 * row.mean(metric):.1f}" + ("" if spread is None else f" ± {100 * spread:.1f}")


def _milliseconds(row: Figures) -> str:
    return "-" if row.latency_ms is None else f"{row.latency_ms:.2f}"


def short_table(rows: Sequence[Figures]) -> str:
    """The rows for a terminal."""
    started = any(row.inherited for row in rows)
    lines = [
        [
            in_terminal(row.name, lever=row.lever),
            row.recipe or "-",
            *[_start(row)] * started,
            str(row.epochs),
            str(len(row.seeds)),
            *(percent(row, metric) for metric in ("mAP", "rank1", "flip_mAP", "flip_rank1")),
            format_flops(row.flops),
            f"{row.parameters / 1e6:.2f}M",
            _milliseconds(row),
        ]
        for row in rows
    ]
    headers = ["row", "recipe", *[START] * started, "epochs", "seeds", "mAP %", "Rank-1 %", "flip mAP", "flip R1"]
    headers += ["FLOPs", "params", "ms"]
    return aligned([headers, *lines], words=2 + started) if lines else "no row is finished yet"

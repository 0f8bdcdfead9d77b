"""A ranking's figures as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.tables import aligned
from search.flops_words import format_flops
from search.ranking.analysis import AND_FLOPS, HOLDOUT, TEST, RankedArch, Verdict
from search.ranking.statistics import CONFIDENCE, Estimate

GROUND_WORDS = {TEST: "on the test set", HOLDOUT: "on the held-out identities"}


def arch_table(archs: Sequence[RankedArch]) -> str:
    """One line per arch, by FLOPs: its stand-alone scores (means over seeds), and each supernet's score."""
    rows = arch_cells(archs)
    least = (4, 8, 5, 6, 8, *[9] * len(archs[0].supernets))
    widths = [max(size, *map(len, column)) for size, column in zip(least, zip(*rows, strict=True), strict=True)]
    return "\n".join(
        "  ".join([name.ljust(widths[0]), *(cell.rjust(size) for cell, size in zip(cells, widths[1:], strict=True))])
        for name, *cells in rows
    )


def arch_cells(archs: Sequence[RankedArch]) -> list[tuple[str, ...]]:
    """The lines of ``arch_table`` as cells, heading first; scores are in percent."""
    labels = list(archs[0].supernets)
    lines = [("arch", "FLOPs", "seeds", "test", "held-out", *labels)]
    for arch in sorted(archs, key=lambda each: each.flops):
        scores = (arch.truth(TEST), arch.truth(HOLDOUT), *(arch.supernets[label] for label in labels))
        shares = (f"{100 * score:.1f}" for score in scores)
        lines.append((arch.name, format_flops(arch.flops), str(len(arch.alone)), *shares))
    return lines


def verdict_table(verdict: Verdict, ground: str, archs: Sequence[RankedArch]) -> str:
    """One line per ranker, the ceiling and the chance level, with ``verdict_notes`` below."""
    rows = verdict_cells(verdict, len(archs))
    lines = aligned(rows, words=len(rows[0])).splitlines()
    lines += verdict_notes(verdict, archs)
    return "\n".join([verdict_title(ground, len(archs)), *(f"  {line}" for line in lines)])


def verdict_title(ground: str, count: int) -> str:
    """The title, which names the scores that rankers of ``count`` archs are compared with."""
    return f"against stand-alone mAP {GROUND_WORDS[ground]}, {count} archs, {100 * CONFIDENCE:.0f} % intervals"


def verdict_cells(verdict: Verdict, count: int) -> list[tuple[str, ...]]:
    """The lines of ``verdict_table`` as cells, heading first; ``count`` is the number of archs."""
    rows = [("ranker", "tau", "rho", "tau given FLOPs", f"best {verdict.k}", "regret")]
    for label, own in verdict.rankers.items():
        taus = (_text(own.tau), _text(own.rho), _text(own.tau_given_flops))
        rows.append((label, *taus, _share(own.precision), _points(own.regret)))
    if verdict.ceiling is not None:
        best = verdict.ceiling
        rows.append(("a perfect ranker", f"{best.tau:.2f}", f"{best.rho:.2f}", "", "", ""))
        rows.append(("seed against seed", _text(best.tau_of_seeds), _text(best.rho_of_seeds), "", "", ""))
    rows.append(("chance", "0.00", "0.00", "0.00", _share(verdict.k / count), ""))
    return rows


def verdict_notes(verdict: Verdict, archs: Sequence[RankedArch]) -> list[str]:
    """Notes on the noise, and on the supernets' taus compared with others."""
    noise = "no arch was trained with two seeds, so it is not known how much of this is noise; give --repeats 2"
    if verdict.ceiling is not None:
        best = verdict.ceiling
        noise = (
            f"mAP differs by {_points(best.noise)} between seeds of an arch and by {_points(best.spread)} between archs"
        )
        noise += " (standard deviations)"
    labels = list(archs[0].supernets)
    return [noise, *_differences(verdict, [*labels, *(f"{label}{AND_FLOPS}" for label in labels)])]


def _differences(verdict: Verdict, supernets: Sequence[str]) -> list[str]:
    """The supernets' taus minus those of FLOPs and of the first supernet, on the same archs."""
    lines = []
    for label in supernets:
        own = verdict.rankers[label]
        over = [f"{_text(own.tau_over_flops)} over FLOPs"]
        if own.tau_over_first is not None:
            over.append(f"{_text(own.tau_over_first)} over {supernets[0]}")
        lines.append(f"tau of {label}: {', '.join(over)}")
    return lines


def _text(estimate: Estimate | None) -> str:
    return "-" if estimate is None else str(estimate)


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _points(value: float) -> str:
    return f"{100 * value:.1f} points"

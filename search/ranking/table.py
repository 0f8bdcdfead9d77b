"""A ranking's figures as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from search.flops_words import format_flops
from search.ranking.analysis import HOLDOUT, TEST, RankedArch, Verdict
from search.ranking.statistics import CONFIDENCE, Estimate

GROUND_WORDS = {TEST: "on the test set", HOLDOUT: "on the held-out identities"}


def arch_table(archs: Sequence[RankedArch]) -> str:
    """A line an arch, by FLOPs: its stand-alone scores, the mean over seeds, and what each supernet says."""
    labels = list(archs[0].supernets)
    width = max(len("arch"), *(len(arch.name) for arch in archs))
    columns = [max(9, len(label)) for label in labels]
    heads = (label.rjust(size) for label, size in zip(labels, columns, strict=True))
    lines = ["  ".join(["arch".ljust(width), "   FLOPs", "seeds", "  test", "held-out", *heads])]
    for arch in sorted(archs, key=lambda each: each.flops):
        shares = (f"{100 * arch.supernets[label]:.1f}".rjust(size) for label, size in zip(labels, columns, strict=True))
        cells = [
            arch.name.ljust(width),
            format_flops(arch.flops).rjust(8),
            str(len(arch.alone)).rjust(5),
            f"{100 * arch.truth(TEST):.1f}".rjust(6),
            f"{100 * arch.truth(HOLDOUT):.1f}".rjust(8),
            *shares,
        ]
        lines.append("  ".join(cells))
    return "\n".join(lines)


def verdict_table(verdict: Verdict, ground: str, archs: Sequence[RankedArch]) -> str:
    """A line a ranker, then the ceiling, what chance would give, and what the supernets' taus are above others."""
    count, supernets = len(archs), list(archs[0].supernets)
    columns = ("ranker", "tau", "rho", "tau given FLOPs", f"best {verdict.k}", "regret")
    rows = [
        (label, _text(own.tau), _text(own.rho), _text(own.tau_given_flops), _share(own.precision), _points(own.regret))
        for label, own in verdict.rankers.items()
    ]
    noise = "no arch was trained with two seeds: how much of this is noise is not known; give --repeats 2"
    if verdict.ceiling is not None:
        best = verdict.ceiling
        rows.append(("a perfect ranker", f"{best.tau:.2f}", f"{best.rho:.2f}", "", "", ""))
        rows.append(("seed against seed", _text(best.tau_of_seeds), _text(best.rho_of_seeds), "", "", ""))
        noise = (
            f"mAP differs by {_points(best.noise)} between seeds of an arch and by {_points(best.spread)} between archs"
        )
        noise += " (standard deviations)"
    rows.append(("chance", "0.00", "0.00", "0.00", _share(verdict.k / count), ""))
    widths = [max(len(row[column]) for row in (columns, *rows)) for column in range(len(columns))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (columns, *rows)
    ]
    title = f"against stand-alone mAP {GROUND_WORDS[ground]}, {count} archs, {100 * CONFIDENCE:.0f} % intervals"
    return "\n".join([title, *(f"  {line}" for line in [*lines, noise, *_differences(verdict, supernets)])])


def _differences(verdict: Verdict, supernets: Sequence[str]) -> list[str]:
    """How the supernets' taus compare with FLOPs' and the first supernet's, archs being the same."""
    lines = []
    for label in supernets:
        own = verdict.rankers[label]
        over = [f"{_text(own.tau_over_flops)} over FLOPs"]
        if own.tau_over_first is not None:
            over.append(f"{_text(own.tau_over_first)} over {supernets[0]}")
        lines.append(f"tau of {label}: {', '.join(over)}")
    return lines


def _text(estimate: Estimate | None) -> str:
    """``"0.62 (0.41 to 0.78)"``."""
    return "-" if estimate is None else f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _points(value: float) -> str:
    return f"{100 * value:.1f} points"

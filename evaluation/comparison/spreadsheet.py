"""The rows of a comparison for a spreadsheet or a program: numbers as they are, neither rounded nor in percent."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from evaluation.comparison.row import ResultRow

FIELDS = (
    *("name", "kind", "recipe", "epochs", "seeds"),
    *("mAP", "mAP_spread", "rank1", "rank1_spread"),
    *("flops", "parameters", "latency_ms", "height", "width"),
    *("train_set", "test_set", "notes", "run"),
)


def csv_table(rows: Sequence[ResultRow]) -> str:
    """A header and a line for each of ``rows``, in their order (RFC 4180, except that lines end in a plain newline).

    Scores and spreads are fractions, ``latency_ms`` milliseconds, FLOPs and parameters whole numbers; missing values
    are empty. Seeds are separated by spaces, notes by semicolons.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_line, rows))
    return text.getvalue()


def _line(row: ResultRow) -> dict[str, object]:
    height, width = row.input_size
    made = {"height": height, "width": width, "notes": "; ".join(row.notes)}
    made["seeds"] = " ".join(map(str, row.seeds or (row.seed,)))
    made["epochs"] = row.epochs or None  # 0: not trained by itself
    return {name: made[name] if name in made else getattr(row, name) for name in FIELDS}

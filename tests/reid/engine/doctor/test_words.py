from __future__ import annotations

from reid.engine.doctor import COLUMNS, Diagnosis, Severity, Trouble, line, rows


def diagnosis(since: int, until: int | None = None) -> Diagnosis:
    return Diagnosis(Trouble.STUCK_AT_MARGIN, Severity.WARNING, since, until, "triplet loss 0.299", "a longer warmup")


def test_line():
    said = "doctor: stuck at the margin"
    assert line(diagnosis(4)) == f"{said} since epoch 4: triplet loss 0.299; try: a longer warmup"
    assert line(diagnosis(0)) == f"{said}: triplet loss 0.299; try: a longer warmup"
    assert line(diagnosis(4, 9)) == f"{said} in epochs 4 to 9, gone since: triplet loss 0.299"
    assert line(diagnosis(4, 4)) == f"{said} in epoch 4, gone since: triplet loss 0.299"


def test_rows_fit_the_columns():
    assert rows([]) == []
    table = rows([diagnosis(0), diagnosis(3), diagnosis(3, 5)])
    assert [row[1] for row in table] == ["all", "from 3 on", "3 to 5, gone"]
    assert all(len(row) == len(COLUMNS) for row in table)
    assert table[0][0] == "stuck at the margin" and table[0][2:] == ("triplet loss 0.299", "a longer warmup")

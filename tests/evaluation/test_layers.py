"""Which folders of ``evaluation/`` know of which."""

from __future__ import annotations

from pathlib import Path

import evaluation.retrieval


def test_scores_know_nothing_of_where_features_come_from():
    """``features/`` imports ``retrieval/``; both ways round neither could be read or changed without the other."""
    files = sorted(Path(evaluation.retrieval.__file__).parent.glob("*.py"))
    assert len(files) > 5
    assert [file.name for file in files if "evaluation.features" in file.read_text(encoding="utf-8")] == []

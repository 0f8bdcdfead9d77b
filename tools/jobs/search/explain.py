"""The job of ``tools/search.py --explain``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluation.pictures.effects import draw_effects
from reid.errors import UserError
from reid.files import write_json
from search.explanation import effects_table, explain
from search.folder import LOG, SUMMARY, read_summary
from search.history import read_candidates
from supernet.files import space_from_dict
from supernet.space import Space
from tools.endings import CANNOT_WRITE
from tools.jobs.paths import shown

EFFECTS, PICTURE = "effects.json", "effects.png"


def explain_search(run: Path) -> None:
    """Prints which choices affected the score in the search in ``run``, finished or not; writes ``effects.json`` and
    ``effects.png`` beside its log. If the folder cannot be written, a note says so.

    Raises:
        UserError: ``run`` holds no search, too few of its candidates have a score, or all made the same choices.
    """
    if not (run / SUMMARY).is_file():
        raise UserError(f"{shown(run)} contains no search to explain; give the --out of a search")
    space = searched_space(read_summary(run), run / SUMMARY)
    explanation = explain(space, read_candidates(run / LOG))
    if not any(row.effect is not None for each in explanation.dimensions for row in each.options):
        raise UserError(
            f"there is nothing to explain in {shown(run)}: all candidates took the same options; search with more "
            "trials"
        )
    print(effects_table(explanation))
    print(
        f"main effects predict {100 * explanation.r2:.0f} % of the variance of held-out candidates' scores "
        f"({100 * explanation.r2_with_flops:.0f} % with FLOPs), from {explanation.candidates} candidates"
    )
    for note in explanation.notes:
        print(f"note: {note}")
    found = asdict(explanation)
    try:
        write_json(run / EFFECTS, found)
        draw_effects(found, run / PICTURE)
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        print(
            f"note: all choices and the picture are not saved: {shown(Path(error.filename or run))}: {error.strerror}"
        )
        return
    print(f"all choices: {shown(run / EFFECTS)}, picture: {shown(run / PICTURE)}")


def searched_space(summary: Mapping[str, Any], path: Path) -> Space:
    """The space recorded in a ``search.json``, either as the fields of ``Space`` or in the form of a space file.

    Raises:
        UserError: there is no valid space; the message names ``path``.
    """
    try:
        data = dict(summary["settings"]["space"])
        smaller = data.pop("smaller_sizes", None)
        if smaller:
            data["input_sizes"] = [*smaller, data.pop("input_size")]
        return space_from_dict(data)
    except (KeyError, TypeError, ValueError, AttributeError, UserError) as error:
        raise UserError(f"search {path}: its space cannot be read: {error}; search again into another folder") from None

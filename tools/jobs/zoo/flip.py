"""The score with the flip test that the zoo shows beside a training's own; both must be of the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evaluation.comparison.row import REMAKE_SCORE, SCORE
from evaluation.protocols import Protocol
from reid.engine.runs.run_folder import WEIGHTS
from reid.errors import UserError
from reid.files import expecting, read_mapping
from tools.jobs.paths import shown
from tools.jobs.runs.provenance import sha256


def score_of(run: Path) -> dict[str, Any]:
    """The contents of a run's ``score.json``; raises UserError if it is missing or damaged."""
    if not (run / SCORE).is_file():
        raise UserError(
            f"{shown(run)} has no {SCORE}; name a run that was scored, or repeat the command that made it, with "
            "--resume"
        )
    return read_mapping(run / SCORE, REMAKE_SCORE)


def flip_score(flip: Path, run: Path) -> dict[str, Any]:
    """The score that the evaluation in ``flip`` gave the training in ``run``.

    Raises:
        UserError: the evaluation is of other weights, has no flip test, or differs from ``run``'s scoring in more than
            that test.
    """
    score = score_of(flip)
    with expecting(flip / SCORE, REMAKE_SCORE):
        flipped = score.get("protocol", {}).get("flip") and float(score["mAP"]) + float(score["rank1"]) >= 0
        weights = score.get("about", {}).get("weights_sha256")
    if not flipped or weights != sha256(run / WEIGHTS):
        raise UserError(f"--flip {shown(flip)}: is not an evaluation of {shown(run)} with the flip test; name one")
    own, other = (_scored_by(folder) for folder in (run, flip))
    for what, value in own.items():
        if value is not None and value != other[what]:
            raise UserError(
                f"--flip {shown(flip)}: its {what} is {other[what]}, but that of {shown(run)} is {value}; "
                "give an evaluation that differs only by the flip test"
            )
    return score


def _scored_by(folder: Path) -> dict[str, Any]:
    """What two scores must share to be shown side by side, in words; ``None`` for what is not recorded."""
    score = score_of(folder)
    with expecting(folder / SCORE, REMAKE_SCORE):
        about, protocol = score.get("about", {}), score.get("protocol", {})
        return {
            "data set": about.get("data"),
            "input size": about.get("input_size"),
            "number of queries": score.get("queries"),
            "metric": protocol.get("metric", Protocol.metric),
            "precision": protocol.get("precision", Protocol.precision),
        }

"""The score with the flip test that the zoo sets beside a training's own: of the same weights, measured alike."""

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
    """What ``score.json`` of a run holds; raises UserError where there is none, or it is damaged."""
    if not (run / SCORE).is_file():
        raise UserError(
            f"{shown(run)} has no {SCORE}: name a run that was scored, or give the command that made it again, with "
            "--resume"
        )
    return read_mapping(run / SCORE, REMAKE_SCORE)


def flip_score(flip: Path, run: Path) -> dict[str, Any]:
    """What the evaluation in ``flip`` found of the training in ``run``.

    Raises:
        UserError: it is of other weights, without the flip test, or differs by more than that test from how ``run`` was
            scored.
    """
    score = score_of(flip)
    with expecting(flip / SCORE, REMAKE_SCORE):
        flipped = score.get("protocol", {}).get("flip") and float(score["mAP"]) + float(score["rank1"]) >= 0
        weights = score.get("about", {}).get("weights_sha256")
    if not flipped or weights != sha256(run / WEIGHTS):
        raise UserError(f"--flip {shown(flip)}: is no evaluation with the flip test of {shown(run)}")
    own, other = (_scored_by(folder) for folder in (run, flip))
    for what, value in own.items():
        if value is not None and value != other[what]:
            raise UserError(
                f"--flip {shown(flip)}: its {what} is {other[what]}, that of {shown(run)} {value}: "
                "give an evaluation that differs by the flip test alone"
            )
    return score


def _scored_by(folder: Path) -> dict[str, Any]:
    """What two scores of a network must share to be set side by side, in words; ``None`` for what is not told."""
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

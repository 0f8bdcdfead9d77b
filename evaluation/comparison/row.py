"""The result of one run, ``result.json`` in its folder, from which tables and pictures of several runs are made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from reid.config import STRICT, build_config, config_to_dict
from reid.engine.runs.run_folder import CONFIG
from reid.errors import UserError
from reid.files import read_mapping, write_json
from reid.numbers import Measured, NonNegative, Share, Whole

RESULT = "result.json"

SCORE = "score.json"
"""File beside it with every score of the evaluation behind the row."""

REMAKE = "remove it and give the command that made the run again, with --resume"
"""The cure of a damaged result: training and evaluation both score what is there anew where it is missing."""

REMAKE_SCORE = "remove it and any result.json next to it, and give the command that made the run again, with --resume"
"""The cure of a damaged ``score.json``: a run that has its result counts as scored."""

Spread = NonNegative | None


@dataclass(frozen=True, config=STRICT)
class ResultRow:
    """One network's result, with the facts that must agree for two results to be comparable.

    Attributes:
        name: what tables call the network.
        kind: ``"searched"``, ``"baseline"``, ``"supernet"``, ``"random"``, ...; pictures colour by it.
        mAP: step-wise mean average precision as a fraction (``ReidScore.mAP``).
        rank1: Rank-1 as a fraction.
        flops: fvcore's total of the inference network for one image of ``input_size``; a multiply-add counts
            once.
        parameters: parameters of that network.
        latency_ms: milliseconds an image, or None where it was not measured; ``notes`` says how.
        epochs: epochs trained; 0 where that is not known or there was no training.
        seed: seed of the training.
        input_size: ``(height, width)`` in pixels.
        train_set: what it was trained on, in words.
        run: path of the run's folder.
        test_set: what it was scored on, in words.
        recipe: name of the recipe that it was trained by; empty where it is not known or there was no training.
        notes: anything else a reader of the table must know, one line each.
        mAP_spread, rank1_spread: standard deviation over ``seeds``, where the row is a mean of several trainings.
        seeds: of those trainings.
    """

    name: str
    kind: str
    mAP: Share
    rank1: Share
    flops: Measured
    parameters: Measured
    latency_ms: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    epochs: Whole
    seed: int
    input_size: tuple[int, int]
    train_set: str
    run: str
    test_set: str = ""
    recipe: str = ""
    notes: tuple[str, ...] = ()
    mAP_spread: Spread = None
    rank1_spread: Spread = None
    seeds: tuple[int, ...] = ()


def write_result(run_dir: Path, row: ResultRow) -> Path:
    """Writes ``result.json`` into a run's folder, atomically; returns its path."""
    return write_json(Path(run_dir) / RESULT, config_to_dict(row))


def read_result(run_dir: Path) -> ResultRow:
    """The row that ``write_result`` wrote.

    Raises:
        UserError: the folder has no result (yet), or the file is damaged.
    """
    path = Path(run_dir) / RESULT
    if not path.parent.is_dir():
        there = path.parent.is_file()
        raise UserError(f"{run_dir} is a file; name a run folder" if there else f"run folder {run_dir} does not exist")
    if not path.is_file() and path.with_name(SCORE).is_file() and not path.with_name(CONFIG).is_file():
        raise UserError(
            f"{run_dir} has scores but no {RESULT}: it is an evaluation of an .onnx or feature file, whose FLOPs and "
            "parameters are not known, so it cannot be a row of a table; name the run that the file was made from"
        )
    if not path.is_file():
        raise UserError(f"run folder {run_dir} has no {RESULT}; let the run finish (--resume) or evaluate it first")
    data = read_mapping(path, REMAKE)
    try:
        return build_config(ResultRow, data, str(path))
    except UserError as error:
        raise UserError(f"{error}; {REMAKE}") from None

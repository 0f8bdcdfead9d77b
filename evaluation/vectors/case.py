"""``Case``: one test vector, its JSON file, and its form as arguments of the reference and of the evaluation."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic.dataclasses import dataclass

from evaluation.reranking import ReRanking
from evaluation.retrieval.rules import MatchRule
from evaluation.vectors.reference.distances import distance_rows, squared_rows
from evaluation.vectors.reference.retrieval import Labels
from reid.config import STRICT, build_config, config_to_dict
from reid.data.records import NO_CAMERA
from reid.errors import UserError
from reid.files import read_json, write_text

FOLDER = Path(__file__).parent / "cases"


@dataclass(frozen=True, config=STRICT)
class Side:
    """Attributes:
    features: ``N`` rows of ``D`` numbers, each exact in float32.
    pids: ``N`` identities.
    camids: ``N`` cameras; null if cameras are not known.
    ids: ``N`` names of images; null if no image is on both sides.
    """

    features: list[list[float]]
    pids: list[int]
    camids: list[int] | None = None
    ids: list[str] | None = None


@dataclass(frozen=True, config=STRICT)
class Case:
    """Attributes:
    name: of the case and its file.
    about: what it tests, in a sentence.
    metric: of the distances.
    rule: what is passed over and what is wrong; false ``same_camera_is_junk`` where there are no cameras.
    query, gallery: the input.
    false_match_rates: decimals, at which true-positive rates are expected.
    threshold_rate: the decimal that a threshold is set for.
    reranking: parameters of re-ranking, by name.
    single_gallery_shot: whether the expected CMC of single gallery shot is expected too.
    expected: the results; ``evaluation.vectors.expected`` makes them.
    """

    name: str
    about: str
    metric: Literal["cosine", "euclidean"]
    rule: MatchRule
    query: Side
    gallery: Side
    false_match_rates: list[str]
    threshold_rate: str
    reranking: dict[str, ReRanking]
    single_gallery_shot: bool
    expected: dict[str, Any]

    def labels(self) -> Labels:
        """For the reference; cameras that are not known are ``NO_CAMERA``."""
        query, gallery = (side.camids or [NO_CAMERA] * len(side.pids) for side in (self.query, self.gallery))
        return Labels(self.query.pids, query, self.gallery.pids, gallery, self.query.ids, self.gallery.ids)

    def ranked(self) -> list[int]:
        """Places in the gallery without those of junk identities: the columns of re-ranked distances."""
        return [place for place, pid in enumerate(self.gallery.pids) if pid not in self.rule.junk_pids]

    def distances(self) -> list[list[float]]:
        """``Q`` rows of ``G`` float64 distances."""
        return distance_rows(self.query.features, self.gallery.features, self.metric)

    def squares(self) -> np.ndarray:
        """``(N, N) float64`` squared distances of queries and ranked gallery, as re-ranking takes them."""
        points = [*self.query.features, *(self.gallery.features[place] for place in self.ranked())]
        return np.array(squared_rows(points, self.metric))


def read_cases(folder: Path = FOLDER) -> list[Case]:
    """The cases of a folder, by name.

    Raises:
        UserError: there is none, or a file is no case.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise UserError(
            f"there are no test vectors in {folder}; write them: python -m evaluation.vectors --write FOLDER"
        )
    return [build_config(Case, read_json(path), str(path)) for path in paths]


def write_case(case: Case, folder: Path) -> Path:
    """Writes ``NAME.json``, a line for each list of numbers."""
    text = json.dumps(config_to_dict(case), indent=1, allow_nan=False)
    text = re.sub(r"\[[^][{}]*\]", lambda found: re.sub(r"\s+", " ", found[0]), text)
    return write_text(folder / f"{case.name}.json", text + "\n")

"""The images of a test set with captions, and whether they show real persons."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from reid.data.records import DISTRACTOR_PID, NO_CAMERA, Dataset, ImageSet
from reid.errors import UserError, nearest
from tools.jobs.data import MADE_BY_US, Source, test_data
from tools.jobs.experiment import ROOT

Side = Literal["query", "gallery"]

IGNORED = ("data", "runs")
"""Folders of the checkout that git ignores."""


@dataclass(frozen=True, eq=False)
class Album:
    """Query and gallery of a data set, decoded, in the order of its records."""

    dataset: Dataset
    query: ImageSet
    gallery: ImageSet

    def pixels(self, side: Side, place: int) -> np.ndarray:
        """The image, ``(H, W, 3) uint8``."""
        return getattr(self, side).images[place].numpy()

    def file(self, side: Side, place: int) -> str:
        """The image's file name."""
        return Path(getattr(self.dataset, side)[place].path).name

    def person(self, pid: int) -> str:
        """The data set's name for an identity."""
        if pid == DISTRACTOR_PID:
            return "distractor"
        names = self.dataset.identity_names
        return names[pid - 1] if names and 0 < pid <= len(names) else str(pid)

    def camera(self, camid: int) -> str:
        """The data set's name for a camera; empty if unknown."""
        names = self.dataset.camera_names
        if camid == NO_CAMERA:
            return ""
        return names[camid - 1] if 0 < camid <= len(names) else str(camid)

    def labels(self, side: Side, place: int) -> tuple[str, ...]:
        """``("person 12", "camera 3")``; without the second if the camera is unknown."""
        images: ImageSet = getattr(self, side)
        pid, camid = int(images.pids[place]), int(images.camids[place])
        person = self.person(pid)
        if person.isdecimal():
            person = f"person {person}"  # a name needs no such prefix
        return (person,) if camid == NO_CAMERA else (person, f"camera {self.camera(camid)}")

    def identities(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """Numbers of query identities by their names; raises UserError for one that no query shows."""
        there = {self.person(pid): pid for pid in self.query.pids.unique().tolist()}
        for name in names:
            if name not in there:
                cure = nearest(name, there) or f"; for example {', '.join(list(there)[:3])}"
                raise UserError(f"--pids {name}: no query image of {self.dataset.name} shows this person{cure}")
        return tuple(there[name] for name in names)


def open_album(source: Source) -> Album:
    """The album of a data set's test set."""
    return Album(source.dataset, *test_data(source))


def shows_real_persons(dataset: Dataset) -> bool:
    """False for synthetic sets, which ``reid.data.synthetic`` marks with a description file."""
    folders = {Path(record.path).parents[1] for record in (*dataset.query, *dataset.gallery)}
    return not all((folder / MADE_BY_US).is_file() for folder in folders)


def keep_private(out: Path, dataset: Dataset) -> None:
    """Raises UserError if pictures of real persons would be written among the checkout's files."""
    try:
        inside = out.resolve().relative_to(ROOT)
    except ValueError:
        return
    if shows_real_persons(dataset) and inside.parts[:1] not in [(name,) for name in IGNORED]:
        raise UserError(
            f"--out {out}: pictures of real persons ({dataset.name}) must not become files of the repository; "
            "give a folder under runs/, or one outside"
        )

"""Several data sets as one training set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reid.data.records import NO_CAMERA, Dataset, ImageRecord
from reid.errors import UserError


def merge_for_training(datasets: Sequence[Dataset]) -> tuple[ImageRecord, ...]:
    """The training records of all ``datasets``, one after another, renumbered so that no two persons or cameras share
    a number.

    Identities count from 1, data set by data set and in each in ascending order of its own numbers; cameras likewise,
    except that ``NO_CAMERA`` stays. ``source`` is the place of a record's data set in ``datasets``.

    Raises:
        UserError: no data sets, one without training images, or two with the same name, hence the same persons.
    """
    names = [dataset.name for dataset in datasets]
    if not names:
        raise UserError("there are no data sets to merge; name at least one")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(
            f"data set '{twice}' would be merged with itself; name each only once, and if two have the same name, "
            "rename the folder or file of one"
        )
    merged: list[ImageRecord] = []
    pids = cameras = 0
    for source, dataset in enumerate(datasets):
        if not dataset.train:
            raise UserError(f"data set '{dataset.name}' has no training images; leave it out")
        pid_of = _numbered({record.pid for record in dataset.train}, pids)
        camid_of = _numbered({record.camid for record in dataset.train} - {NO_CAMERA}, cameras)
        pids, cameras = pids + len(pid_of), cameras + len(camid_of)
        camid_of[NO_CAMERA] = NO_CAMERA
        merged += [
            replace(record, pid=pid_of[record.pid], camid=camid_of[record.camid], source=source)
            for record in dataset.train
        ]
    return tuple(merged)


def _numbered(values: set[int], used: int) -> dict[int, int]:
    return {value: used + number for number, value in enumerate(sorted(values), start=1)}

"""The images that a network was trained on, as recorded in its run folder.

A configuration says how persons are split into training and test sets, but with a user's own data that split changes
with every person added or removed. So a run records a hash of each training image. These hashes tell who was trained
on, whatever the data set is called now and wherever it lies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from reid.data.digests import image_digests
from reid.data.records import DISTRACTOR_PID, Dataset, ImageSet
from reid.errors import UserError
from reid.files import expecting, write_atomic
from reid.words import counted
from tools.jobs.paths import shown

TRAINED_IMAGES = "trained-images.npz"
"""``pids (N,) int64`` and ``digests (N, 16) uint8`` (``image_digests``) of the training images, in their order."""

SHARE = 0.5
"""A person counts as trained on if more than this share of their images were: a user's own data set may contain a few
images under two names."""

NAMED = 3
"""Number of persons named in an error."""


def holds_note(run: Path) -> bool:
    """Whether ``run`` records its training images. Runs of earlier versions, the zoo and other weights do not."""
    return (run / TRAINED_IMAGES).is_file()


def note_trained_images(run: Path, images: ImageSet) -> None:
    """Writes ``TRAINED_IMAGES`` into ``run``."""
    digests = np.frombuffer(b"".join(image_digests(images)), np.uint8).reshape(-1, 16)
    write_atomic(run / TRAINED_IMAGES, lambda path: np.savez(path, pids=images.pids.cpu().numpy(), digests=digests))


def check_trained_images(run: Path, images: ImageSet) -> None:
    """Raises UserError if a training that was begun on other images would continue on ``images``: other persons, other
    numbers of images, or the same images with other persons' numbers.

    Different pixels from another image decoder are accepted: a run may move to another machine.
    """
    noted = _noted(run)
    if noted is None:
        return
    pids, digests = noted
    now, same = images.pids.tolist(), pids == images.pids.tolist()
    if same:
        found = image_digests(images)
        person = dict(zip(digests, pids, strict=True))
        same = digests == found or all(person.get(digest, pid) == pid for digest, pid in zip(found, now, strict=True))
    if not same:
        raise UserError(
            f"{shown(run)} was started on other images ({_count(pids)} then, {_count(now)} now): the data set has "
            "changed; restore the data, or train into another --out"
        )


def persons_trained_on(run: Path, *parts: ImageSet) -> list[int]:
    """Numbers, ascending, of the persons in ``parts`` that the network in ``run`` was trained on, according to its
    record; empty without a record. Distractors and junk do not count as persons.

    Raises:
        UserError: the record is damaged.
    """
    noted = _noted(run)
    if noted is None:
        return []
    trained = set(noted[1])
    seen, there = Counter(), Counter()
    for part in parts:
        for digest, pid in zip(image_digests(part), part.pids.tolist(), strict=True):
            if pid > DISTRACTOR_PID:
                there[pid] += 1
                seen[pid] += digest in trained
    return sorted(pid for pid, count in there.items() if seen[pid] > SHARE * count)


def check_never_trained_on(run: Path, dataset: Dataset, what: str, *parts: ImageSet, part: str = "") -> None:
    """Raises UserError if the network in ``run`` was trained on persons of ``parts``.

    Args:
        what: what would be done to these persons, as a participle, for the message.
        part: how this network contributed to the one in question, in words; empty if it is that one.
    """
    known = persons_trained_on(run, *parts)
    if known:
        persons, noted = counted(len(known), "person"), shown(run / TRAINED_IMAGES)
        raise UserError(
            f"{persons} of {dataset.name} that would be {what} ({_named(known, dataset)}) were trained on, as {noted} "
            f"says{f' ({part})' if part else ''}; restore the data of that time, or train again on these"
        )


def _named(pids: Sequence[int], dataset: Dataset) -> str:
    names = [dataset.identity_names[pid - 1] if dataset.identity_names else str(pid) for pid in pids[:NAMED]]
    return ", ".join([*names, *(["..."] if len(pids) > NAMED else [])])


def _count(pids: Sequence[int]) -> str:
    return f"{len(set(pids))} identities with {counted(len(pids), 'image')}"


def _noted(run: Path) -> tuple[list[int], list[bytes]] | None:
    """Numbers of the persons and hashes of the images; ``None`` without a record."""
    if not holds_note(run):
        return None
    path = run / TRAINED_IMAGES
    with expecting(path, "restore it, or remove it"):
        try:
            with np.load(path, allow_pickle=False) as file:
                pids, digests = file["pids"], file["digests"]
        except (BadZipFile, EOFError, OSError) as error:
            raise ValueError(error) from None
        if pids.ndim != 1 or digests.shape != (len(pids), 16) or digests.dtype != np.uint8:
            raise ValueError(f"shapes {pids.shape} and {digests.shape}")
    return pids.tolist(), [row.tobytes() for row in digests]

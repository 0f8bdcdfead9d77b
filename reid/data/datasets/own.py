"""A user's own data: images with an identity, and possibly a camera and a part, made into a ``Dataset``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from reid.data.records import DISTRACTOR_PID, JUNK_PID, NO_CAMERA, Dataset, ImageRecord
from reid.data.split import query_mask
from reid.errors import UserError

PARTS = ("train", "query", "gallery")
Part = Literal["train", "query", "gallery"]

SPECIAL = {"junk": JUNK_PID, "distractor": DISTRACTOR_PID, str(JUNK_PID): JUNK_PID}
"""Labels that are not identities: gallery images that must not count, or that are wrong for every query. Tables and
folders made from other data sets keep their ``-1`` for junk; their 0 may be a person."""


@dataclass(frozen=True)
class OwnImage:
    """One image as described by a file name or a row of a table.

    Attributes:
        path: absolute path.
        identity: any text; ``junk`` (or ``-1``) and ``distractor`` have their meaning above.
        camera: any text, or None if not known.
        part: the part it belongs to, or None to have identities drawn.
        where: what to call it in errors.
    """

    path: str
    identity: str
    camera: str | None
    part: Part | None
    where: str


def own_dataset(name: str, images: Sequence[OwnImage], test_share: float = 0.5, seed: int = 0) -> Dataset:
    """A data set of uniformly described images: all with or all without a camera, and all with or without a part.

    Identities are numbered from 1 in ascending order of their names (numbers before words), cameras too; the names
    are kept in the data set. Where no parts are given, ``test_share`` of the identities, drawn by ``seed``, are
    tested: with cameras, queries are those of ``reid.data.split.query_mask`` (the first image of each person and
    camera, as in Market-1501) plus the first image of each person whom that leaves without a query though two cameras
    saw them; without cameras, the first image of each person who has several. All other images of test identities, junk
    and distractors are the gallery.

    Raises:
        UserError: no images; a camera or a part is given for some only; an identity is both trained on and a query;
            junk or a distractor is outside the gallery; queries without gallery or a gallery without queries; or too
            few images for a query.
    """
    if not images:
        raise UserError(f"data set '{name}' contains no image; add images, or name another folder or file")
    has_cameras = _all_or_none(images, [image.camera is not None for image in images], "camera")
    has_parts = _all_or_none(images, [image.part is not None for image in images], "part (train, query or gallery)")
    identities = sorted({image.identity for image in images} - set(SPECIAL), key=_order)
    if not identities:
        raise UserError(f"data set '{name}' contains no person, only junk and distractors; add images of persons")
    cameras = sorted({image.camera for image in images if image.camera is not None}, key=_order)
    pid_of = SPECIAL | {identity: number for number, identity in enumerate(identities, start=1)}
    camid_of = {None: NO_CAMERA} | {camera: number for number, camera in enumerate(cameras, start=1)}
    records = [ImageRecord(image.path, pid_of[image.identity], camid_of[image.camera]) for image in images]
    if has_parts:
        parts = _given_parts(name, images, records)
    else:
        parts = _drawn_parts(name, records, len(identities), has_cameras, test_share, seed)
    return Dataset(name, *parts, has_cameras=has_cameras, identity_names=tuple(identities), camera_names=tuple(cameras))


def _all_or_none(images: Sequence[OwnImage], given: Sequence[bool], what: str) -> bool:
    if any(given) and not all(given):
        raise UserError(
            f"{images[given.index(False)].where} has no {what}, but others have; give it for all images or for none"
        )
    return all(given)


def _given_parts(
    name: str, images: Sequence[OwnImage], records: Sequence[ImageRecord]
) -> tuple[tuple[ImageRecord, ...], ...]:
    parts: dict[Part, list[ImageRecord]] = {part: [] for part in PARTS}
    for image, record in zip(images, records, strict=True):
        if image.part != "gallery" and image.identity in SPECIAL:
            raise UserError(
                f"{image.where}: '{image.identity}' may only be in the gallery, not in {image.part}; move the image"
            )
        parts[image.part].append(record)
    if bool(parts["query"]) != bool(parts["gallery"]):
        there, missing = ("query", "gallery") if parts["query"] else ("gallery", "query")
        raise UserError(
            f"data set '{name}' has {there} images but no {missing} images; add them, or give only training images"
        )
    trained = {record.pid for record in parts["train"]}
    for image, record in zip(images, records, strict=True):
        if image.part == "query" and record.pid in trained:
            raise UserError(
                f"{image.where}: identity '{image.identity}' is both a query and a training identity; test other "
                "persons"
            )
    return tuple(tuple(parts[part]) for part in PARTS)


def _drawn_parts(
    name: str, records: Sequence[ImageRecord], identities: int, has_cameras: bool, test_share: float, seed: int
) -> tuple[tuple[ImageRecord, ...], ...]:
    count = round(identities * test_share)
    if 0 < test_share < 1:
        count = min(max(count, 1), identities - 1)
    # Only uniform numbers and a stable sort: the same draw on every platform.
    order = np.argsort(np.random.default_rng(seed).random(identities), kind="stable")
    tested = {int(index) + 1 for index in order[:count]}
    train = _select(records, (record.pid > DISTRACTOR_PID and record.pid not in tested for record in records))
    test = _select(records, (record.pid <= DISTRACTOR_PID or record.pid in tested for record in records))
    if not tested:
        return train, (), ()
    mask = _queries(test, has_cameras)
    if not any(mask):
        needs = "images from two cameras" if has_cameras else "two images"
        raise UserError(
            f"data set '{name}': none of {count} test identities has {needs}, which a query needs; add images"
        )
    return train, _select(test, mask), _select(test, (not query for query in mask))


def _queries(test: Sequence[ImageRecord], has_cameras: bool) -> list[bool]:
    pids = torch.tensor([record.pid for record in test])
    camids = torch.tensor([record.camid for record in test])
    mask = query_mask(pids, camids, cameras=has_cameras).tolist()
    served = {record.pid for record, query in zip(test, mask, strict=True) if query}
    cameras: dict[int, set[int]] = {}
    for record in test:
        cameras.setdefault(record.pid, set()).add(record.camid)
    for place, record in enumerate(test):
        if record.pid > DISTRACTOR_PID and record.pid not in served and len(cameras[record.pid]) > 1:
            mask[place] = True
            served.add(record.pid)
    return mask


def _select(records: Sequence[ImageRecord], chosen: Iterable[bool]) -> tuple[ImageRecord, ...]:
    return tuple(record for record, wanted in zip(records, chosen, strict=True) if wanted)


def _order(name: str) -> tuple[bool, int, str, str]:
    is_number = name.isascii() and name.isdigit()
    digits = name.lstrip("0") if is_number else ""  # not int(): Python refuses very many digits
    return (not is_number, len(digits), digits, name)

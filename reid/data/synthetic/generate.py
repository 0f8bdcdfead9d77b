"""Writing the synthetic set in the file layout of Market-1501."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from reid.data.records import DISTRACTOR_PID, JUNK_PID
from reid.data.synthetic.config import SyntheticConfig
from reid.data.synthetic.render import render_person
from reid.errors import UserError
from reid.files import expecting, read_mapping, temporary_folder, write_json

FOLDERS = ("bounding_box_train", "query", "bounding_box_test")
DESCRIPTION = "synthetic.json"
FORMAT = 1
"""Increased when the same config would give other pictures, so that old folders are not taken for new ones."""

_STRANGERS = 500_000  # identities of distractors; far from those of training and testing


@dataclass(frozen=True)
class _Job:
    """One file: its path under the root and the arguments of ``render_person``."""

    path: str
    identity: int
    camera: int
    shot: int
    junk: bool = False


def make_synthetic(root: Path, config: SyntheticConfig, progress: bool = True) -> Path:
    """Write the set under ``root`` and return ``root``.

    If ``synthetic.json`` is already there and states the same config, nothing is made again. The set is made in a
    hidden folder beside ``root`` and moved there when it is complete, so that processes that make it at once, or
    are interrupted, never see a part of it. The same config gives the same bytes in every file.

    Raises:
        UserError: ``root`` holds a set of another config, or files but no finished set, or cannot be written.
    """
    root = Path(root)
    description = {"format": FORMAT, **asdict(config), "size": list(config.size)}
    found = _first_entry(root)  # before the next look: another process may put the set there in between
    if _is_made(root, description):
        return root
    if found is not None:
        raise UserError(
            f"{root} contains files ({found}) but no finished synthetic set; remove it or give another folder"
        )
    try:
        _make(root, config, description, progress)
    except OSError as error:
        why = error.strerror or error
        raise UserError(
            f"cannot write the synthetic set {root}: {why}; make room there, or make the folder writable"
        ) from None
    return root


def _make(root: Path, config: SyntheticConfig, description: dict[str, object], progress: bool) -> None:
    place = root.resolve()  # a link may lead to another disk
    place.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(place) as temporary:
        _write_set(temporary, config, progress)
        write_json(temporary / DESCRIPTION, description)
        os.chmod(temporary, 0o755)  # mkdtemp's 0700 would hide the images from other users
        try:
            temporary.rename(place)
        except OSError:  # another process was faster
            if not _is_made(root, description):
                raise


def picture_size(root: Path) -> tuple[int, int]:
    """Height and width of the pictures of the set in ``root``.

    Raises:
        UserError: its ``synthetic.json`` is damaged.
    """
    cure = f"remove the folder {root} and make the set again"
    description = read_mapping(root / DESCRIPTION, cure)
    with expecting(root / DESCRIPTION, cure):
        height, width = description["size"]
        return int(height), int(width)


def world_words(root: Path) -> str:
    """What distinguishes the set in ``root`` from others with as many persons and pictures: ``"synthetic.seed 1"``, and
    the size if it is not the default; empty for the default seed and size.

    Raises:
        UserError: its ``synthetic.json`` is damaged.
    """
    size, usual = picture_size(root), SyntheticConfig()
    seed = read_mapping(root / DESCRIPTION).get("seed", usual.seed)
    told = [f"synthetic.seed {seed}"] if seed != usual.seed else []
    told += ["synthetic.size {}x{}".format(*size)] if size != usual.size else []
    return ", ".join(told)


def _is_made(root: Path, description: dict[str, object]) -> bool:
    path = root / DESCRIPTION
    if not path.exists():
        return False
    try:
        found = json.loads(path.read_text())
    except ValueError:
        raise UserError(f"{path} is not readable JSON; remove the folder {root} and run again") from None
    if found == description:
        return True
    keys = [k for k in description if not isinstance(found, dict) or found.get(k) != description[k]]
    names = ", ".join(keys) if keys else "its keys"
    raise UserError(
        f"{root} contains a synthetic set with other settings ({names} differ); remove it or give another folder"
    )


def _first_entry(root: Path) -> str | None:
    """The first entry of ``root`` by name, or None if it is empty or missing."""
    if not root.exists():
        return None
    if not root.is_dir():
        raise UserError(f"{root} is a file; give a folder for the synthetic set")
    return min((entry.name for entry in root.iterdir()), default=None)


def _write_set(root: Path, config: SyntheticConfig, progress: bool) -> None:
    for folder in FOLDERS:
        (root / folder).mkdir()
    jobs = list(_jobs(config))
    # In this process: spawned workers would run the caller's script again, and a few thousand images take seconds.
    for job in tqdm(jobs, desc="synthetic pedestrians", unit="image", disable=not progress):
        _write_image(root, config.seed, config.size, job)


def _cameras_of(config: SyntheticConfig, identity: int) -> list[int]:
    """The cameras that see a person: at least two, all but at most two."""
    rng = np.random.default_rng(np.random.SeedSequence((config.seed, 7, identity)))
    count = int(rng.integers(max(2, config.cameras - 2), config.cameras + 1))
    return sorted(int(c) + 1 for c in rng.permutation(config.cameras)[:count])


def _jobs(config: SyntheticConfig) -> Iterator[_Job]:
    """Every file of the set."""
    train, query, gallery = FOLDERS
    last_train = config.train_identities
    for identity in range(1, last_train + config.test_identities + 1):
        for camera in _cameras_of(config, identity):
            for shot in range(config.images_per_camera):
                folder = train if identity <= last_train else query if shot == 0 else gallery
                yield _Job(f"{folder}/{_name(identity, camera, shot)}", identity, camera, shot)
    for number in range(config.distractors):
        camera = number % config.cameras + 1
        yield _Job(f"{gallery}/{_name(DISTRACTOR_PID, camera, number)}", _STRANGERS + number, camera, 0)
    for number in range(config.junk):
        camera = number % config.cameras + 1
        identity = last_train + 1 + number % config.test_identities
        yield _Job(f"{gallery}/{_name(JUNK_PID, camera, number)}", identity, camera, number, junk=True)


def _name(pid: int, camera: int, shot: int) -> str:
    """Market-1501's file name; the frame number keeps names unique and grows with the shots."""
    label = str(pid) if pid == JUNK_PID else f"{pid:04d}"
    frame = max(pid, 0) * 100 + shot + 1
    return f"{label}_c{camera}s1_{frame:06d}_00.jpg"


def _write_image(root: Path, seed: int, size: tuple[int, int], job: _Job) -> None:
    image = render_person(seed, job.identity, job.camera, job.shot, size=size, junk=job.junk)
    Image.fromarray(image).save(root / job.path, "JPEG", quality=90)

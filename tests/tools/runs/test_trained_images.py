"""Whom a network was trained on is known by the images that its run notes, also where own data have changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from reid.data.digests import image_digests
from reid.data.records import Dataset, ImageSet
from reid.errors import UserError
from reid.files import read_json
from tests.reid.data.small_pictures import save
from tools.jobs.runs.trained_images import (
    TRAINED_IMAGES,
    check_never_trained_on,
    check_trained_images,
    note_trained_images,
    persons_trained_on,
)

NAMES = tuple("abcdefgh")


def _images(pids, seed=0) -> ImageSet:
    pixels = np.random.default_rng(seed).integers(0, 256, (len(pids), 4, 2, 3), np.uint8)
    return ImageSet(torch.from_numpy(pixels), torch.tensor(pids), torch.ones(len(pids), dtype=torch.int64))


def test_persons_are_known_by_most_of_their_images_whatever_their_number(tmp_path):
    trained = _images([1, 1, 1, 2, 2])
    strangers = _images([3, 3, 3, 4], seed=1)
    assert persons_trained_on(tmp_path, trained) == []  # nothing is noted
    note_trained_images(tmp_path, trained)
    tested = ImageSet(
        torch.cat([trained.images, strangers.images]),
        torch.tensor([7, 7, 7, 8, 0, 8, 8, 5, -1]),  # of person 8 one of three, a distractor's, and a junk image
        torch.ones(9, dtype=torch.int64),
    )
    assert persons_trained_on(tmp_path, tested) == [7]
    first, second = tested.select(torch.arange(2)), tested.select(torch.arange(2, 9))
    assert persons_trained_on(tmp_path, first, second) == [7]
    told = (
        r"1 person of shop that would be tested \(g\) were trained on, as .*trained-images.npz says; restore the data"
    )
    with pytest.raises(UserError, match=told):
        check_never_trained_on(tmp_path, Dataset("shop", (), (), (), identity_names=NAMES), "tested", tested)
    check_never_trained_on(tmp_path, Dataset("shop", (), (), ()), "tested", strangers)


def test_a_training_goes_on_with_the_images_that_it_was_begun_with(tmp_path):
    images = _images([1, 1, 2, 2, 3])
    check_trained_images(tmp_path, images)  # of a version that noted none
    note_trained_images(tmp_path, images)
    check_trained_images(tmp_path, images)
    check_trained_images(tmp_path, _images([1, 1, 2, 2, 3], seed=1))  # as another decoder has them
    fewer = images.select(torch.arange(4))
    with pytest.raises(UserError, match="started on other images .3 identities with 5 images then, 2 .* 4 images now"):
        check_trained_images(tmp_path, fewer)
    renamed = images.select(torch.tensor([2, 3, 0, 1, 4]))  # the persons of numbers 1 and 2 have changed places
    renamed = ImageSet(renamed.images, images.pids, images.camids)
    with pytest.raises(UserError, match="started on other images"):
        check_trained_images(tmp_path, renamed)


def test_pictures_under_two_names_do_not_end_a_training(tmp_path):
    images = _images([1, 1, 2])
    twice = ImageSet(images.images[[0, 1, 0]], images.pids, images.camids)
    note_trained_images(tmp_path, twice)
    check_trained_images(tmp_path, twice)
    assert persons_trained_on(tmp_path, twice) == [1, 2]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut off", b"text"])
def test_a_damaged_note_is_named(tmp_path, damage):
    (tmp_path / TRAINED_IMAGES).write_bytes(damage)
    with pytest.raises(UserError, match="trained-images.npz contains unexpected values .*; restore it"):
        persons_trained_on(tmp_path, _images([1]))
    np.savez(tmp_path / TRAINED_IMAGES, pids=np.array([1, 2]), digests=np.zeros((1, 16), np.uint8))
    with pytest.raises(UserError, match="trained-images.npz contains unexpected values"):
        check_trained_images(tmp_path, _images([1]))


def test_digests_tell_shapes_apart():
    tall, wide = (torch.zeros((1, *shape, 3), dtype=torch.uint8) for shape in ((4, 2), (2, 4)))
    one = torch.ones(1, dtype=torch.int64)
    assert image_digests(ImageSet(tall, one, one)) != image_digests(ImageSet(wide, one, one))
    assert image_digests(ImageSet(tall, one, one)) == image_digests(ImageSet(tall.clone(), one + 1, one))


@pytest.fixture
def shop(tmp_path) -> Path:
    """16 persons in noise of their own, four images each by two cameras."""
    for number in range(16):
        for image in range(4):
            save(tmp_path / "shop" / f"p{number:02d}" / f"c{image % 2}_{image}.png", seed=100 * number + image)
    return tmp_path / "shop"


def _on(shop: Path) -> tuple[str, ...]:
    dataset = json.dumps({"name": "folder", "root": str(shop), "pattern": r"c(?P<camid>\d)_"})
    settings = (f"data.dataset={dataset}", "data.holdout_identities=3", "data.train_identities=null")
    return tuple(part for setting in settings for part in ("--set", setting))


def test_persons_who_go_move_the_division_and_nobody_is_tested_who_was_trained_on(
    call, refused, small_arch, shop, tmp_path
):
    run, supernet = tmp_path / "run", tmp_path / "supernet"
    assert call("retrain", "--arch", small_arch, "--out", run, *_on(shop)).code == 0
    assert call("train_supernet", "--out", supernet, *_on(shop)).code == 0
    assert call("evaluate", run, "--out", tmp_path / "before", tiny=False).code == 0
    assert call("search", "--supernet", supernet, "--out", tmp_path / "search", *_on(shop)).code == 0

    for name in ("p10", "p13"):
        shutil.move(shop / name, tmp_path / name)
    told = "persons? of shop that would be tested .* trained on, as .*run/trained-images.npz says"
    refused(call("evaluate", run, "--out", tmp_path / "after", tiny=False), told)
    done = call("cross_domain", run, "--datasets", f"folder={shop}", "--out", tmp_path / "matrix", tiny=False)
    refused(done, f"nothing could be evaluated; run: .*{told}")
    done = call("retrain", "--arch", small_arch, "--out", run, "--resume", *_on(shop))
    refused(done, "run was started on other images .* the data set has changed")
    held = "persons? of shop that would be held out .* trained on, as .*supernet/trained-images.npz says"
    refused(call("search", "--supernet", supernet, "--out", tmp_path / "again", *_on(shop)), held)
    refused(call("rank", "--supernet", supernet, "--out", tmp_path / "rank", *_on(shop)), held)

    for name in ("p10", "p13"):
        shutil.move(tmp_path / name, shop / name)
    assert call("evaluate", run, "--out", tmp_path / "after", tiny=False).code == 0
    scores = [read_json(tmp_path / name / "score.json")["mAP"] for name in ("before", "after")]
    assert scores[0] == scores[1]

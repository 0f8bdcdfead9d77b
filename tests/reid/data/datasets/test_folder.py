from __future__ import annotations

import errno
import os
from pathlib import Path
from unicodedata import normalize

import pytest

from reid.data.datasets.folder import read_folder
from reid.data.datasets.listing import image_paths
from reid.data.records import NO_CAMERA
from reid.errors import UserError

CAMERA = r"cam(?P<camid>\w+?)_"


def labels(data, records) -> list[tuple[str, str, str | None]]:
    """File name, and what identity and camera are called in the data."""
    return [
        (
            Path(record.path).name,
            data.identity_names[record.pid - 1],
            None if record.camid == NO_CAMERA else data.camera_names[record.camid - 1],
        )
        for record in records
    ]


def test_three_parts(tmp_path, make_images):
    make_images(tmp_path / "shop" / "train", "anna/cam1_0.jpg", "anna/late/cam2_0.png", "bea/cam1_0.jpg")
    make_images(tmp_path / "shop" / "query", "carl/cam1_9.jpg")
    make_images(tmp_path / "shop" / "gallery", "carl/cam2_1.jpg", "junk/cam2_2.jpg", ".hidden/cam1_0.jpg")
    (tmp_path / "shop" / "query" / "carl" / "notes.txt").touch()
    data = read_folder(tmp_path / "shop", CAMERA)
    assert data.name == "shop" and data.has_cameras
    train = [("cam1_0.jpg", "anna", "1"), ("cam2_0.png", "anna", "2"), ("cam1_0.jpg", "bea", "1")]
    assert labels(data, data.train) == train
    assert labels(data, data.query) == [("cam1_9.jpg", "carl", "1")]
    assert [(record.pid, record.camid) for record in data.gallery] == [(3, 2), (-1, 2)]
    assert all(Path(record.path).is_file() for record in data.train + data.query + data.gallery)
    without = read_folder(tmp_path / "shop")
    assert not without.has_cameras and without.camera_names == ()
    assert {record.camid for record in without.train} == {NO_CAMERA}


def test_identities_without_parts(tmp_path, make_images):
    for person in ("1", "2", "10", "11"):
        make_images(tmp_path / person, "a.jpg", "b.jpg", "c.jpg")
    data = read_folder(tmp_path, test_share=0.5, seed=1)
    assert data.identity_names == ("1", "2", "10", "11")
    assert len(data.train) == 6 and len(data.query) == 2 and len(data.gallery) == 4
    assert {name for name, _, _ in labels(data, data.query)} == {"a.jpg"}


def test_identity_and_camera_from_names(tmp_path, make_images):
    make_images(tmp_path, "p7-c1-0.jpg", "p7-c2-0.jpg", "p12-c1-0.jpg", "p12-c1-1.jpg")
    data = read_folder(tmp_path, r"p(?P<pid>\d+)-c(?P<camid>\d)", test_share=0)
    expected = [
        ("p12-c1-0.jpg", "12", "1"),
        ("p12-c1-1.jpg", "12", "1"),
        ("p7-c1-0.jpg", "7", "1"),
        ("p7-c2-0.jpg", "7", "2"),
    ]
    assert labels(data, data.train) == expected


def test_accents_written_as_on_a_mac_are_the_same_names(tmp_path, make_images):
    """A decomposed umlaut looks alike, and would be another person and another camera, or miss the pattern."""
    one, two = (lambda text: normalize("NFC", text)), (lambda text: normalize("NFD", text))
    make_images(tmp_path, one("Jürgen/Süd 0.jpg"), two("Jürgen/Süd 1.jpg"), two("Zoë/Süd 2.jpg"), one("Zoz/Süd 3.jpg"))
    for write in (one, two):
        data = read_folder(tmp_path, write("(?P<camid>Süd|Tür)"), test_share=0)
        assert (data.identity_names, data.camera_names) == (("Jürgen", "Zoz", "Zoë"), ("Süd",))
        assert [Path(each.path).stem[-1] for each in data.train] == ["0", "1", "3", "2"]  # by name, however written
        assert all(Path(each.path).is_file() for each in data.train)


def test_only_test_parts_and_only_train(tmp_path, make_images):
    make_images(tmp_path / "a" / "train", "anna/0.jpg")
    assert len(read_folder(tmp_path / "a").train) == 1
    make_images(tmp_path / "b" / "query", "anna/0.jpg")
    with pytest.raises(UserError, match="has query images but no gallery"):
        read_folder(tmp_path / "b")
    make_images(tmp_path / "b" / "gallery", "anna/1.jpg")
    data = read_folder(tmp_path / "b")
    assert data.train == () and len(data.query) == len(data.gallery) == 1


def test_mistakes(tmp_path, make_images):
    with pytest.raises(UserError, match="does not exist"):
        read_folder(tmp_path / "nowhere")
    (tmp_path / "set.zip").write_bytes(b"")
    with pytest.raises(UserError, match="set.zip is a file, not a folder"):
        read_folder(tmp_path / "set.zip")
    (tmp_path / "set").mkdir()
    with pytest.raises(UserError, match="contains no image"):
        read_folder(tmp_path / "set")
    make_images(tmp_path / "set", "anna/cam1_0.jpg", "anna/other.jpg")
    with pytest.raises(UserError, match="anna/other.jpg does not match the pattern"):
        read_folder(tmp_path / "set", CAMERA)
    with pytest.raises(UserError, match="cam1_0.jpg does not match the pattern"):  # the group took no part in the match
        read_folder(tmp_path / "set", r"anna(?P<camid>x)?")
    make_images(tmp_path / "set", "lost.jpg")
    with pytest.raises(UserError, match="lost.jpg is not in an identity's folder"):
        read_folder(tmp_path / "set")
    with pytest.raises(UserError, match="is not a valid regular expression"):
        read_folder(tmp_path / "set", "(")
    for pattern in ("cam", r"(?P<camera>\d)", r"(?P<camid>\d)(?P<frame>\d)"):
        with pytest.raises(UserError, match="must have the group"):
            read_folder(tmp_path / "set", pattern)


@pytest.mark.parametrize(("place", "target"), [("anna", ".."), ("anna", "."), ("anna/late", "../..")])
def test_links_that_lead_up_are_not_followed(tmp_path, make_images, place, target):
    """Each image would be there forty times: as deep as the system follows links."""
    make_images(tmp_path / "shop", "anna/0.jpg", "anna/late/1.jpg", "bea/0.jpg")
    (tmp_path / "shop" / place / "link").symlink_to(target)
    assert len(read_folder(tmp_path / "shop", test_share=0).train) == 3


def test_links_elsewhere_are_followed_and_those_that_lead_to_each_other_once(tmp_path, make_images):
    make_images(tmp_path / "disk", "anna/0.jpg", "bea/0.jpg")
    make_images(tmp_path / "shop", "carl/0.jpg")
    (tmp_path / "shop" / "anna").symlink_to(tmp_path / "disk" / "anna")
    (tmp_path / "disk" / "anna" / "twin").symlink_to(tmp_path / "disk" / "bea")
    (tmp_path / "disk" / "bea" / "twin").symlink_to(tmp_path / "disk" / "anna")
    (tmp_path / "linked").symlink_to(tmp_path / "shop")
    assert image_paths(tmp_path / "linked") == ["anna/0.jpg", "anna/twin/0.jpg", "carl/0.jpg"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path, make_images, monkeypatch):
    """Its person would be missing, and nobody told."""
    make_images(tmp_path / "shop", "anna/0.jpg", "bea/0.jpg")
    real = os.scandir

    def scandir(path):
        if str(path).endswith("bea"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UserError, match="shop/bea cannot be read: Permission denied"):
        read_folder(tmp_path / "shop")


@pytest.mark.parametrize("name", ["Train", "QUERY", "test", "Val"])
def test_parts_by_other_names_are_refused(tmp_path, make_images, name):
    """They would be persons, or be passed over beside those that are read."""
    make_images(tmp_path / "shop", "train/anna/0.jpg" if name != "Train" else "Gallery/bea/0.jpg", f"{name}/carl/0.jpg")
    with pytest.raises(UserError, match="is not a part of a data set .parts are train, query, gallery.; rename it"):
        read_folder(tmp_path / "shop")


def test_a_part_there_twice_is_refused(tmp_path, make_images):
    """Where capitals tell folders apart one of the two would be passed over; a link to the one that is read is none."""
    make_images(tmp_path / "shop", "train/anna/0.jpg", "more/bea/0.jpg")
    (tmp_path / "shop" / "more").rename(tmp_path / "more")
    (tmp_path / "shop" / "TRAIN").symlink_to("train")
    assert len(read_folder(tmp_path / "shop").train) == 1
    (tmp_path / "more").rename(tmp_path / "shop" / "Train")
    with pytest.raises(
        UserError, match="Train is not a part of a data set .parts are train, query, gallery.; rename it"
    ):
        read_folder(tmp_path / "shop")


def test_persons_may_be_called_like_other_parts(tmp_path, make_images):
    make_images(tmp_path / "shop", "test/0.jpg", "val/0.jpg", "TEST/0.jpg")
    assert read_folder(tmp_path / "shop", test_share=0).identity_names == ("TEST", "test", "val")

"""The synthetic pedestrians: layout, determinism, refusal of foreign folders, and what the pictures show."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reid.data.synthetic import SyntheticConfig, contact_sheet, generate, make_synthetic, picture_size, render_person
from reid.data.synthetic import __main__ as command
from reid.data.synthetic.paint import Light, paint
from reid.data.synthetic.person import GROUP, draw_person
from reid.data.synthetic.pose import Stage
from reid.errors import UserError

SMALL = SyntheticConfig(5, 4, distractors=7, junk=5, images_per_camera=2, cameras=3)
TINY = SyntheticConfig(1, 1, distractors=0, junk=0, images_per_camera=2, cameras=2, size=(32, 16))
NAME = re.compile(r"(-1|\d{4})_c(\d)s\d_\d{6}_\d{2}\.jpg")


def digests(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def labels(folder: Path) -> list[tuple[int, int]]:
    matches = [NAME.fullmatch(path.name) for path in folder.iterdir()]
    assert all(matches)
    return [(int(m[1]), int(m[2])) for m in matches]


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    return make_synthetic(tmp_path_factory.mktemp("synthetic") / "set", SMALL, progress=False)


def test_layout_is_that_of_market1501(small: Path) -> None:
    train, query, gallery = (labels(small / f) for f in ("bounding_box_train", "query", "bounding_box_test"))
    assert {pid for pid, _ in train} == set(range(1, 6))
    assert {pid for pid, _ in query} == set(range(6, 10))
    assert {pid for pid, _ in gallery} == set(range(6, 10)) | {0, -1}
    assert sum(pid == 0 for pid, _ in gallery) == 7
    assert sum(pid == -1 for pid, _ in gallery) == 5
    assert len(set(query)) == len(query), "one query for each person and camera"
    assert {camera for _, camera in train} == {1, 2, 3}


def test_each_query_has_an_answer_under_another_camera(small: Path) -> None:
    gallery = labels(small / "bounding_box_test")
    for pid, camera in labels(small / "query"):
        assert any(p == pid and c != camera for p, c in gallery)


def test_files_hold_what_render_person_draws(small: Path) -> None:
    path = next((small / "bounding_box_train").glob("0002_c*_000202_00.jpg"))
    stored = np.asarray(Image.open(path)).astype(int)
    drawn = render_person(SMALL.seed, 2, int(path.name[6]), 1).astype(int)
    assert stored.shape == (128, 64, 3)
    assert np.abs(stored - drawn).mean() < 8  # what JPEG of quality 90 loses on noise
    other = render_person(SMALL.seed, 3, int(path.name[6]), 1).astype(int)
    assert np.abs(stored - other).mean() > 16


def test_same_config_gives_same_bytes(small: Path, tmp_path: Path) -> None:
    assert digests(make_synthetic(tmp_path / "again", SMALL, progress=False)) == digests(small)


def test_other_seed_gives_other_pictures() -> None:
    assert not np.array_equal(render_person(0, 1, 1, 0), render_person(1, 1, 1, 0))


def test_finished_set_is_left_alone(small: Path) -> None:
    victim = next((small / "query").iterdir())
    before = victim.stat().st_mtime_ns
    make_synthetic(small, SMALL, progress=False)
    assert victim.stat().st_mtime_ns == before


@pytest.fixture
def during(monkeypatch):
    """``during(number, do)`` lets ``do`` happen once, before image ``number`` (from 0) of a set is written."""
    write = generate._write_image

    def before(number: int, do) -> None:
        left = iter([False] * number + [True])

        def patched(*arguments) -> None:
            if next(left, False):
                do()
            write(*arguments)

        monkeypatch.setattr(generate, "_write_image", patched)

    return before


def interrupt() -> None:
    raise KeyboardInterrupt


def test_interrupted_set_leaves_nothing(during, tmp_path: Path) -> None:
    during(3, interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_synthetic(tmp_path / "set", TINY, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_set_is_whole_where_another_process_begins_it_too_and_dies(during, tmp_path: Path) -> None:
    wanted = digests(make_synthetic(tmp_path / "wanted", TINY, progress=False))

    def other() -> None:
        during(2, interrupt)
        with pytest.raises(KeyboardInterrupt):
            make_synthetic(tmp_path / "set", TINY, progress=False)

    during(4, other)
    assert digests(make_synthetic(tmp_path / "set", TINY, progress=False)) == wanted


def test_set_of_a_faster_process_is_kept(during, tmp_path: Path) -> None:
    root, seen = tmp_path / "set", {}

    def other() -> None:
        make_synthetic(root, TINY, progress=False)
        seen.update({path: path.stat().st_ino for path in root.rglob("*")})

    during(4, other)
    assert make_synthetic(root, TINY, progress=False) == root
    assert seen and seen == {path: path.stat().st_ino for path in root.rglob("*")}
    assert list(tmp_path.iterdir()) == [root]


def test_faster_process_of_another_config_is_told(during, tmp_path: Path) -> None:
    during(4, lambda: make_synthetic(tmp_path / "set", replace(TINY, seed=3), progress=False))
    with pytest.raises(UserError, match="seed differ"):
        make_synthetic(tmp_path / "set", TINY, progress=False)


def test_what_is_there_without_a_description_is_no_set(tmp_path: Path) -> None:
    (tmp_path / "query").mkdir()
    with pytest.raises(
        UserError, match=r"contains files \(query\) but no finished synthetic set; remove it or give another folder"
    ):
        make_synthetic(tmp_path, TINY, progress=False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["query"]


def test_link_to_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "set")
    make_synthetic(tmp_path / "link", TINY, progress=False)
    assert (tmp_path / "set" / "synthetic.json").exists() and (tmp_path / "link").is_symlink()


def test_place_that_cannot_be_written(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write the synthetic set .*file/set: ") as error:
        make_synthetic(tmp_path / "file" / "set", TINY, progress=False)
    assert "\n" not in str(error.value)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(generate, "_write_image", full)
    with pytest.raises(UserError, match="No space left on device"):
        make_synthetic(tmp_path / "set", TINY, progress=False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("sheet", "message"), [("sheet", "must end in one of .png, "), ("file/sheet.png", "cannot be written: ")]
)
def test_sheet_that_cannot_be_written(tmp_path: Path, monkeypatch, capsys, sheet: str, message: str) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(command, "contact_sheet", lambda *_, **__: np.zeros((8, 8, 3), np.uint8))
    assert command.main(["--sheet", str(tmp_path / sheet)]) == 2
    said = capsys.readouterr().err
    assert f"error: --sheet {tmp_path / sheet}" in said and message in said and said.count("\n") == 1


def test_size_of_the_pictures(small: Path, tmp_path: Path) -> None:
    assert picture_size(small) == SMALL.size
    (tmp_path / "synthetic.json").write_text('{"size": 5}')
    with pytest.raises(UserError, match="make the set again"):
        picture_size(tmp_path)


def test_other_config_is_refused_and_nothing_touched(small: Path) -> None:
    before = digests(small)
    other = SyntheticConfig(**{**vars(SMALL), "seed": 3})
    with pytest.raises(UserError, match="seed differ.*remove it") as error:
        make_synthetic(small, other, progress=False)
    assert str(small) in str(error.value)
    assert digests(small) == before


def test_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="thesis.txt"):
        make_synthetic(tmp_path, SMALL, progress=False)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_broken_description_is_refused(tmp_path: Path) -> None:
    (tmp_path / "synthetic.json").write_text("{")
    with pytest.raises(UserError, match="not readable"):
        make_synthetic(tmp_path, SMALL, progress=False)


def test_description_tells_the_config(small: Path) -> None:
    found = json.loads((small / "synthetic.json").read_text())
    found.pop("format")
    assert SyntheticConfig(**found) == SMALL


@pytest.mark.parametrize(
    "wrong",
    [{"cameras": 1}, {"images_per_camera": 1}, {"seed": -1}, {"size": (8, 4)}, {"train_identities": 0}],
)
def test_config_out_of_range(wrong: dict) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        SyntheticConfig(**wrong)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    identity=st.integers(0, 10**6),
    camera=st.integers(1, 9),
    shot=st.integers(0, 10**5),
    height=st.integers(16, 200),
    width=st.integers(16, 120),
    junk=st.booleans(),
)
def test_any_picture_can_be_drawn(seed, identity, camera, shot, height, width, junk) -> None:
    image = render_person(seed, identity, camera, shot, size=(height, width), junk=junk)
    assert image.shape == (height, width, 3) and image.dtype == np.uint8
    assert image.std() > 1
    assert np.array_equal(image, render_person(seed, identity, camera, shot, size=(height, width), junk=junk))


def test_look_alikes_share_colours_and_nobody_is_twice() -> None:
    persons = [draw_person(0, identity) for identity in range(GROUP * 60)]
    assert len(set(persons)) == len(persons)
    for first in range(0, len(persons), GROUP):
        group = persons[first : first + GROUP]
        assert len({(p.main, p.accent, p.bottom_color) for p in group}) == 1
        assert len({p.pattern for p in group}) == GROUP


def test_paint_is_the_capsule_of_the_formula() -> None:
    """A plain part in full light covers the pixels nearer to its axis than its width, and no others."""
    canvas = np.zeros((40, 40, 3), np.float32)
    a, b, half = np.array([12.0, 9.0]), np.array([25.0, 30.0]), 5.0
    white = np.ones((1, 8, 3), np.float32)
    paint(canvas, tuple(a), tuple(b), ((0, half), (1, half)), white, 0.0, Light(0, 1, 0))
    for y in range(40):
        for x in range(40):
            t = np.clip(np.dot((x, y) - a, b - a) / np.dot(b - a, b - a), 0, 1)
            distance = np.hypot(*((x, y) - a - t * (b - a)))
            assert canvas[y, x] == pytest.approx(np.clip(half + 0.5 - distance, 0, 1), abs=1e-3)


@pytest.mark.parametrize(("yaw", "column"), [(0.0, 4), (np.pi, 0), (np.pi / 2, 2), (-np.pi / 2, 6)])
def test_texture_turns_with_the_person(yaw: float, column: int) -> None:
    """The middle of a part shows what faces the camera: front at yaw 0, back at pi.

    At yaw pi/2 the nose points to the right of the picture and the person's right side faces the camera.
    """
    canvas = np.zeros((30, 31, 3), np.float32)
    texture = np.zeros((1, 8, 3), np.float32)
    texture[0, :, 0] = np.arange(8) / 8
    paint(canvas, (15, 2), (15, 28), ((0, 12), (1, 12)), texture, yaw - 1e-3, Light(0, 1, 0))
    assert canvas[15, 15, 0] == pytest.approx(column / 8)
    stage = Stage(yaw=yaw, pitch=0.0, x=0, y=0, scale=1)
    beta = -np.pi + 2 * np.pi * column / 8
    assert stage.depth((np.sin(beta), np.cos(beta), 0.0)) == pytest.approx(1)


def test_contact_sheet_places_the_pictures() -> None:
    sheet = contact_sheet(0, identities=(3, 4), cameras=(1, 2, 5), gap=2)
    assert sheet.shape == (2 * 130 + 2, 3 * 66 + 2, 3)
    assert np.array_equal(sheet[132:260, 134:198], render_person(0, 4, 5, 0))

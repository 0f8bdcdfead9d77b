"""The picture of the zoo: which networks are in it, and beside which published ones."""

from __future__ import annotations

import dataclasses

import pytest

import tools.jobs.zoo.picture
from reid.errors import UserError
from supernet.trained.zoo import FOLDER, write_index, zoo_entries
from tools.jobs.zoo.picture import PUBLISHED, draw_zoo


@pytest.fixture
def drawn(monkeypatch):
    """The dots of a picture, in place of the picture."""
    dots = []
    monkeypatch.setattr(tools.jobs.zoo.picture, "draw_costs", lambda these, path, **rest: dots.extend(these) or path)
    return dots


def test_networks_are_beside_published_ones_of_about_their_flops(drawn, tmp_path):
    draw_zoo(tmp_path / "zoo.png")
    kinds = {dot.kind: [each for each in drawn if each.kind == dot.kind] for dot in drawn}
    assert kinds.keys() == {"zoo", "published", "pretrained"}
    assert {dot.name for dot in kinds["zoo"]} == {each.name.removesuffix("-market1501") for each in zoo_entries(FOLDER)}
    best = next(dot for dot in kinds["published"] if dot.name == "MLR-210M-B+ (MLR)")
    assert (best.mAP, best.flops) == (pytest.approx(0.712), 207_000_000)
    names = {dot.name for dot in drawn}
    assert "OSNet x0.5" in names and not names & {"ResNet-50 (MLR)", "OSNet x1.0", "CDNet"}  # too large; FLOPs not told


def test_networks_of_other_data_are_left_out(drawn, tmp_path):
    first, second, *_ = zoo_entries(FOLDER)
    other = dataclasses.replace(second, train_set="market1501: 200 identities, 3871 images")
    write_index([first, other], tmp_path)
    draw_zoo(tmp_path / "zoo.png", tmp_path)
    assert [dot.name for dot in drawn if dot.kind == "zoo"] == [first.name.removesuffix("-market1501")]
    write_index([other], tmp_path)
    with pytest.raises(UserError, match="no network of the zoo was trained and tested on all of Market-1501"):
        draw_zoo(tmp_path / "zoo.png", tmp_path)


def test_the_tool_draws_it(call, refused, tmp_path):
    done = call("zoo", "--picture", tmp_path / "zoo.png", tiny=False)
    assert done.code == 0 and done.out == f"picture: {tmp_path / 'zoo.png'}\n"
    assert (tmp_path / "zoo.png").read_bytes().startswith(b"\x89PNG") and PUBLISHED.is_file()
    for words, message in (
        (("--picture", tmp_path / "zoo.jpg"), "is written as a PNG"),
        (("--picture", tmp_path), "is written as a PNG"),
        (("--picture", tmp_path / "zoo.png", "--markdown"), "--markdown and --picture: give one of the two"),
        (("OSNet-x0.42-market1501", "--picture", tmp_path / "zoo.png"), "--picture: is for the whole zoo"),
    ):
        refused(call("zoo", *words, tiny=False), message)

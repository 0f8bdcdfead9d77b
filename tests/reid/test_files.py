"""Atomic writes, and what is said of files that cannot be read."""

from __future__ import annotations

import math
import os
import stat
import tempfile

import pytest

from reid.errors import UserError, nearest
from reid.files import (
    expecting,
    is_leftover,
    read_json,
    read_mapping,
    read_yaml,
    temporary_folder,
    write_atomic,
    write_json,
    write_text,
)


def test_write_makes_folders_and_leaves_one_file(tmp_path):
    path = write_text(tmp_path / "a" / "b" / "x.txt", "ä\n")
    assert path.read_text(encoding="utf-8") == "ä\n"
    assert list(path.parent.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), ValueError("x")])
def test_failed_write_leaves_the_old_file(tmp_path, error):
    path = write_text(tmp_path / "x.json", "old")

    def write(temporary):
        assert temporary.parent.parent == tmp_path and temporary.name == "x.json"  # on one file system
        temporary.write_text("half of the new")
        raise error

    with pytest.raises(type(error)):
        write_atomic(path, write)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_what_a_kill_leaves_is_not_found_among_files(tmp_path):
    """A kill leaves the folder as it is while ``write`` is at work."""
    path, found = tmp_path / "a.yaml", []

    def write(temporary):
        temporary.write_text("half")
        found.extend(tmp_path.glob("*.yaml"))
        assert [is_leftover(entry, path) for entry in tmp_path.iterdir()] == [True]

    write_atomic(path, write)
    assert found == [] and not is_leftover(path, path)


def test_what_a_killed_write_left_is_removed_by_the_next_one(tmp_path):
    """That of a living process is not, which may be writing the same file."""
    path = write_text(tmp_path / "a.json", "old")
    dead, other, own = (
        tmp_path / name for name in (".a.json.k1ll3d_0.tmp", ".b.json.k1ll3d_0.tmp", ".a.json.original")
    )
    for folder in (dead, other, own):
        folder.mkdir()
        (folder / "a.json").write_text("half")
    with temporary_folder(path) as living:
        write_text(path, "new")
        assert living.is_dir() and not dead.exists()
    assert sorted(tmp_path.iterdir()) == [own, other, path] and path.read_text() == "new"


def test_a_folder_that_was_taken_for_a_dead_ones_is_made_again(tmp_path, monkeypatch):
    """It is there for a moment before it is held."""
    made, taken = tempfile.mkdtemp, []

    def make(**where):
        taken.append(made(**where))
        if len(taken) == 1:
            os.rmdir(taken[0])
        return taken[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", make)
    assert write_text(tmp_path / "a", "whole").read_text() == "whole" and len(taken) == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_old_file_is_whole_while_the_new_one_is_written(tmp_path):
    path = write_text(tmp_path / "x", "old")
    seen = []
    write_atomic(path, lambda temporary: (temporary.write_text("new"), seen.append(path.read_text())) and None)
    assert seen == ["old"] and path.read_text() == "new"


def test_json_round_trip_and_no_nan(tmp_path):
    data = {"a": [1, 2.5, None], "b": "ä"}
    path = write_json(tmp_path / "x.json", data)
    assert read_json(path) == data
    with pytest.raises(ValueError):
        write_json(path, {"a": float("nan")})
    assert read_json(path) == data


@pytest.mark.parametrize("read", [read_json, read_yaml])
@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b'{"a": }x', b"[" * 5000, b"a: \x00"])
def test_damaged_files_are_named_in_one_line(tmp_path, read, content):
    path = tmp_path / "x.file"
    path.write_bytes(content)
    with pytest.raises(UserError, match="x.file is not valid") as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_missing_files_and_folders_are_named(tmp_path, read):
    with pytest.raises(UserError, match="none does not exist"):
        read(tmp_path / "none")
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["x.json", "x.yaml"])
@pytest.mark.parametrize("content", [b"[1]", b'"words"', b"3", b"null", b"{", b"\xff\xfe\x00"])
def test_what_is_no_mapping_is_named_with_its_cure(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"file .*{name} .*; ask Ada$") as caught:
        read_mapping(tmp_path / name, "ask Ada")
    assert "\n" not in str(caught.value)


def test_mappings_are_read_by_their_suffix(tmp_path):
    (tmp_path / "x.yaml").write_text("a: {b: 1}")
    assert (
        read_mapping(tmp_path / "x.yaml")
        == {"a": {"b": 1}}
        == read_mapping(write_json(tmp_path / "x.json", {"a": {"b": 1}}))
    )


def test_a_date_that_is_none_is_no_traceback(tmp_path):
    (tmp_path / "x.yaml").write_text("day: 2026-13-45")
    with pytest.raises(UserError, match="x.yaml is not valid YAML: month"):
        read_yaml(tmp_path / "x.yaml")


@pytest.mark.parametrize(
    "take",
    [
        lambda data: data["b"],
        lambda data: data["a"]["b"],
        lambda data: data["a"].items(),
        lambda data: data["c"][0],
        lambda data: int(data["d"]),  # JSON as Python reads it has Infinity
    ],
)
def test_other_values_than_expected_are_the_files_fault(tmp_path, take):
    with pytest.raises(UserError, match="file .*x.json .*; ask Ada$"), expecting(tmp_path / "x.json", "ask Ada"):
        take({"a": [1], "c": [], "d": math.inf})


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: 1\nb: [1\nc: 2\n", "at line 3"), ("a: 1\na: 2\n", "at line 2: key 'a' occurs twice; correct")],
)
def test_yaml_error_names_the_line(tmp_path, text, said):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=f"x.yaml is not valid YAML {said}"):
        read_yaml(path)


@pytest.mark.parametrize("text", ["a:\n\tb: 1\n", "a: 1\nb: 2\t\n"])
def test_a_tab_in_yaml_is_called_so(tmp_path, text):
    file = tmp_path / "x.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match="line 2: there is a tab where only spaces are allowed; correct it$"):
        read_yaml(file)


def test_nearest_words():
    assert nearest("resnet19", ["resnet18", "zebra"]) == "; nearest: resnet18"
    assert nearest("zzz", ["resnet18", "mobilenet"]) == ""
    assert nearest("abcd", ["abce", "abcf", "abcg", "abch"], count=2).count(",") == 1

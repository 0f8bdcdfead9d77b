"""``--size HxW`` in every tool that takes a size, and the older spellings of it."""

from __future__ import annotations

import argparse

import pytest

from benchmarks.parts import sizes
from tools.size_option import add_size, joined, parse_size


def read(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*")
    add_size(parser, "of images", None, "--input-size")
    return parser.parse_args(joined(arguments, "--input-size"))


@pytest.mark.parametrize(
    "words", [("--size", "64x32"), ("--size=64x32",), ("--input-size", "64", "32"), ("--size", "64", "32")]
)
def test_one_value_of_every_spelling(words):
    for arguments in (("a", *words), (*words, "a")):
        assert vars(read(*arguments)) == {"files": ["a"], "size": (64, 32)}


def test_what_is_no_older_spelling_stays(capsys):
    assert read("a", "1", "2").files == ["a", "1", "2"] and read().size is None
    assert joined(["--size", "64"]) == ["--size", "64"] and joined(["--top", "3", "5"]) == ["--top", "3", "5"]
    for text in ("64", "64x", "axb", "64x32x16"):
        with pytest.raises(argparse.ArgumentTypeError, match=f"'{text}': give height and width in pixels"):
            parse_size(text)
    for words, said in (
        (("--size", "64"), "give height and width in pixels, as in 256x128"),
        (("--input-size", "0", "8"), "must be 16 to 2048 pixels"),
        (("--size", "2560x1280"), "must be 16 to 2048 pixels"),
    ):
        with pytest.raises(SystemExit):
            read(*words)
        assert said in capsys.readouterr().err


@pytest.mark.parametrize("tool", ["describe", "embed", "import_torchreid", "latency"])
def test_every_tool_spells_it_so(call, tool):
    assert "--size" in (said := call(tool, "--help", tiny=False).out) and "HxW" in said


def test_benchmarks_take_a_height_too():
    parser = argparse.ArgumentParser()
    sizes.add_size(parser, "128x64")
    for words, size in (((), (128, 64)), (("--height", "80"), (80, 40)), (("--size", "96x32"), (96, 32))):
        assert parser.parse_args(words).size == size

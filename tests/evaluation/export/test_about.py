"""What a file says of itself is read back, by ONNX Runtime too."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from evaluation.export import FileAbout, open_session
from reid.errors import UserError

ABOUT = FileAbout("MLR-6.5M-A inherited", (256, 128), 512, 205_800_000, 2_000_000, "0f" * 32, True, "int8")


@pytest.mark.parametrize("change", [{}, {"pixels": False}, {"precision": "fp32"}, {"weights_sha256": ""}])
def test_round_trip(change):
    about = dataclasses.replace(ABOUT, **change)
    metadata = about.to_metadata()
    assert all(isinstance(value, str) for value in metadata.values())
    assert FileAbout.from_metadata(metadata, Path("x.onnx")) == about


def test_the_runtime_reads_it(exported):
    for path, about in exported.values():
        found = open_session(path).get_modelmeta().custom_metadata_map
        assert FileAbout.from_metadata(found, path) == about and found["mean"] == "0.485 0.456 0.406"


@pytest.mark.parametrize("key", ["name", "input_size", "precision", "preprocessing"])
def test_others_files(key):
    metadata = ABOUT.to_metadata()
    for changed in ({**metadata, key: "?"}, {each: value for each, value in metadata.items() if each != key}):
        if changed.get(key) == "?" and key == "name":
            continue  # any name will do
        with pytest.raises(UserError, match="x.onnx does not say what network it is"):
            FileAbout.from_metadata(changed, Path("x.onnx"))

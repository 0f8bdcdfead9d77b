"""The table of docs/zoo.md is what the zoo's index says, and its figures are those of the files."""

from __future__ import annotations

import re
from pathlib import Path

from supernet.trained import load_backbone
from supernet.trained.zoo import FOLDER, zoo_entries
from tools.jobs.zoo.job import LARGEST, markdown_table

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "zoo.md").read_text(encoding="utf-8")


def test_the_table_is_the_index():
    assert markdown_table() in TEXT, "put the output of: python tools/zoo.py --markdown into docs/zoo.md"
    assert set(re.findall(r"^\| `([^`]+)`", TEXT, re.M)) == {entry.name for entry in zoo_entries()}
    assert f"at most {LARGEST // 2**20} MiB" in TEXT
    assert all(entry.input_size == (256, 128) for entry in zoo_entries()), "the page says so of all"


def test_figures_of_the_table_by_the_files_themselves():
    for line in re.findall(r"^\| `.*$", TEXT, re.M):
        cells = [cell.strip(" `") for cell in line.strip("|").split("|")]
        name, parameters, size = cells[0], cells[6], cells[7]
        trained = load_backbone(name)
        assert f"{sum(each.numel() for each in trained.parameters()) / 1e6:.2f}" == parameters
        assert f"{(FOLDER / f'{name}.safetensors').stat().st_size / 1e6:.1f}" == size

"""FLOPs as words, read and written."""

from __future__ import annotations

import pytest

from reid.errors import UserError
from search.flops_words import format_flops, parse_flops


@pytest.mark.parametrize(
    "text", ["210M", "210m", " 210 M ", "0.21G", "210e6", "210000000", 210_000_000, 2.1e8, "210000K"]
)
def test_parse_flops(text):
    assert parse_flops(text) == 210_000_000


@pytest.mark.parametrize("text", ["", "M", "abc", "-3M", "0", "nan", "inf", "1e999999", "1e9999999M", "210MB", "2,1M"])
def test_parse_flops_refuses(text):
    with pytest.raises(UserError, match="210M"):
        parse_flops(text)


def test_format_flops():
    figures = {204_354_048: "204.4M", 978_900_000: "978.9M", 4_053_000_000: "4053.0M"}
    figures |= {16_300_000_000: "16.3G", 512_300: "0.5M", 51_230: "51.2K", 12: "12"}
    assert {number: format_flops(number) for number in figures} == figures

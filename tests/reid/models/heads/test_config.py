"""Head configurations: YAML's mappings and back, and what contradicts itself."""

from __future__ import annotations

import pytest

from reid.config import build_config, config_to_dict
from reid.errors import UserError
from reid.models.heads import HeadConfig


def test_round_trip(config):
    assert build_config(HeadConfig, config_to_dict(config), "test") == config


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"pool": "mean"}, "pool: input should be 'avg', 'max', 'avg_max' or 'gem'"),
        ({"parts": {"stripes": 9}}, "parts.stripes: input should be less than or equal to 8"),
        ({"parts": {"stripe": 6}}, "unknown key 'parts.stripe'; nearest: stripes"),
        ({"parts": {"global_branch": False, "retrieve": "global"}}, "set global_branch to true"),
        ({"parts": {"stripes": 2, "update": "random", "drop": 3}}, "drop 3 leaves none of the 3 branches"),
        ({"parts": {"global_branch": False}, "spectral": {}}, "spectral works on the global branch"),
        ({"parts": {"global_branch": False}, "mask": True}, "mask belongs to the global branch"),
        ({"parts": {"global_branch": False}, "neck": "none"}, "neck belongs to the global branch; set parts.neck"),
        ({"parts": {"global_branch": False}, "relu": True}, "relu belongs to the global branch"),
        (
            {"parts": {"global_branch": False}, "embedding": 512},
            "embedding belongs to the global branch; set parts.embedding",
        ),
        ({"erase": {"height": 1.0}}, "erases the whole map"),
        ({"dropout": 1.0}, "dropout: input should be less than 1"),
    ],
)
def test_one_line_for_what_cannot_be(data, message):
    with pytest.raises(UserError) as raised:
        build_config(HeadConfig, data, "test")
    assert message in str(raised.value) and "\n" not in str(raised.value)

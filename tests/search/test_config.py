"""Search settings are checked when they are made."""

from __future__ import annotations

import pytest

from reid.config import build_config
from reid.errors import UserError
from search.config import SearchConfig


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"trails": 5}, "trials"),
        ({"trials": 0}, "trials"),
        ({"population": 5, "sample_size": 6}, "sample_size"),
        ({"mutation": 0}, "mutation"),
        ({"crossover": 1.5}, "crossover"),
        ({"min_flops_fraction": 1}, "min_flops_fraction"),
        ({"calibration_batch_size": 1}, "calibration_batch_size"),
        ({"top_k": 27}, "top_k"),
        ({"name_prefix": "../up"}, "name_prefix"),
        ({"cost_input_size": [256]}, "cost_input_size"),
    ],
)
def test_bad_settings_are_named(data, named):
    with pytest.raises(UserError, match=named):
        build_config(SearchConfig, data, "search.yaml")


def test_defaults_are_valid_and_sizes_may_be_lists():
    assert build_config(SearchConfig, {}, "search.yaml") == SearchConfig()
    assert build_config(SearchConfig, {"cost_input_size": [256, 128]}, "x").cost_input_size == (256, 128)

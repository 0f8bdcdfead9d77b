"""Search settings are checked when they are made."""

from __future__ import annotations

import pytest

from reid.config import build_config
from reid.errors import UserError
from search.config import SearchConfig, limits_of, parse_time
from search.limits import Limits


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
        ({"name_prefix": "a" * 61}, "name_prefix: string should have at most 60 characters"),
        ({"cost_input_size": [256]}, "cost_input_size"),
        ({"flops": None}, "no limit is set"),
        ({"latency": "5ms"}, "needs a target"),
        ({"trials": None}, "no budget"),
        ({"generation": 0}, "generation"),
        ({"screen_after": 3}, "screen_after"),
        ({"front": []}, "front"),
        ({"front": ["energy"]}, "front"),
        ({"front": ["flops", "flops"]}, "a cost is named twice; name each once"),
        ({"front": ["flops", "latency"]}, "latency needs a target"),
        ({"flops": "abc"}, "search.yaml: FLOPs 'abc': give a positive number"),
        ({"parameters": -1}, "parameters '-1'"),
        ({"latency": "5 hours", "target": "onnx-cpu-1t"}, "latency '5 hours'"),
        ({"time": "soon"}, "time 'soon'"),
        ({"cost_input_size": [2, 2]}, "cost_input_size"),
        ({"generation": 10**30}, "generation"),
    ],
)
def test_bad_settings_are_named(data, named):
    with pytest.raises(UserError, match=named):
        build_config(SearchConfig, data, "search.yaml")


def test_defaults_are_valid_and_sizes_may_be_lists():
    assert build_config(SearchConfig, {}, "search.yaml") == SearchConfig()
    assert build_config(SearchConfig, {"cost_input_size": [256, 128]}, "x").cost_input_size == (256, 128)


@pytest.mark.parametrize(
    ("text", "seconds"), [(90, 90), ("90", 90), ("90s", 90), ("1.5m", 90), ("1m30s", 90), ("2h", 7200), ("30min", 1800)]
)
def test_times_are_read(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-3m", "soon", "nan", "inf", "1.2.3s", "5d"])
def test_other_times_are_refused(text):
    with pytest.raises(UserError, match="time '"):
        parse_time(text)


def test_limits_are_read_together():
    config = SearchConfig(flops=None, latency="5ms", target="onnx-cpu-1t", parameters="2.2M")
    assert limits_of(config) == Limits(latency_ms=5.0, parameters=2_200_000)

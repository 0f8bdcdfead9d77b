"""Limits: how they are written and read back, and when a cost meets them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reid.errors import UserError
from search.limits.limits import (
    ArchCost,
    Limits,
    describe,
    format_least,
    format_limit,
    format_value,
    parse_latency,
    parse_parameters,
)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("5ms", 5),
        ("0.8 ms", 0.8),
        ("1.2s", 1200),
        (5, 5),
        ("5", 5),
        (0.5, 0.5),
        ("800us", 0.8),
        (" 2 S ", 2000),
        ("1e-3s", 1),
    ],
)
def test_parse_latency(text, ms):
    assert parse_latency(text) == pytest.approx(ms, rel=1e-12)


@given(
    st.floats(1e-6, 1e6), st.sampled_from([("", 1), ("us", 1e-3), ("ms", 1), ("s", 1e3)]), st.sampled_from(["", " "])
)
def test_parse_latency_reads_what_was_written(number, unit, gap):
    assert parse_latency(f"{number!r}{gap}{unit[0]}") == pytest.approx(number * unit[1], rel=1e-12)


@pytest.mark.parametrize(
    "text", ["", "ms", "-5ms", "0", "nan", "inf", "1..2", "5 m", "5msec", "five", "1e999s", True, None, "5ſ", "5 mſ"]
)
def test_parse_latency_refuses(text):
    with pytest.raises(UserError, match="5ms"):
        parse_latency(text)


@given(st.text(max_size=8))
def test_parse_latency_gives_a_positive_number_or_a_user_error(text):
    try:
        assert 0 < parse_latency(text) < float("inf")
    except UserError as error:
        assert "\n" not in str(error).replace(text, "")


@given(st.integers(1, 10**12))
def test_parse_parameters_reads_whole_numbers_and_units(count):
    assert parse_parameters(count) == parse_parameters(str(count)) == count
    assert parse_parameters(f"{count}K") == 1000 * count
    assert parse_parameters(f"{count / 1000}M") == pytest.approx(1000 * count, rel=1e-12)


@pytest.mark.parametrize("text", ["", "-2M", "0", "2.2X", "nan"])
def test_parse_parameters_refuses(text):
    with pytest.raises(UserError, match=r"parameters .*2\.2M"):
        parse_parameters(text)


def test_describe_names_what_is_set():
    assert describe(Limits(210_000_000, 5.0)) == "at most 210M FLOPs, 5 ms"
    assert describe(Limits(parameters=2_200_000)) == "at most 2.2M parameters"
    assert describe(Limits(latency_ms=0.25, parameters=812_345)) == "at most 0.25 ms, 812.345K parameters"
    assert describe(Limits(1_000_000, parameters=4_100_000_000)) == "at most 1M FLOPs, 4.1G parameters"


def test_format_value():
    values = {0.8344: "0.834 ms", 1: "1.00 ms", 5: "5.00 ms", 10: "10.0 ms", 12.34: "12.3 ms", 100: "100 ms"}
    values |= {0.9996: "1.00 ms", 9.994: "9.99 ms", 9.996: "10.0 ms", 99.96: "100 ms", 1234.5: "1234 ms"}
    assert {value: format_value("latency_ms", value) for value in values} == values
    assert format_value("parameters", 2_226_434) == "2.2M"


def test_a_limit_is_told_as_it_is_typed():
    assert [format_limit("flops", each) for each in (900_000, 961_000, 10**10)] == ["900K", "961K", "10G"]
    assert format_limit("latency_ms", 0.0001) == "0.0001 ms"


@given(st.integers(1, 10**12))
@example(204_354_048)
@example(999_999)
def test_a_limit_of_the_least_that_is_told_is_enough(count):
    """And of a tenth of its unit less is not."""
    text = format_least("flops", count)
    unit = {"K": 10**3, "M": 10**6, "G": 10**9}.get(text[-1], 10) // 10
    assert 0 <= parse_parameters(text) - count < unit


@given(st.floats(1e-5, 1e6))
@example(0.0001)
@example(0.9991)
def test_a_limit_of_the_least_latency_that_is_told_is_enough(latency):
    text = format_least("latency_ms", latency)
    last = 10.0 ** -len(text.removesuffix(" ms").partition(".")[2])
    assert 0 <= parse_latency(text) - latency < last * (1 + 1e-9)


@pytest.mark.parametrize(
    "limits", [{}, {"flops": 0}, {"latency_ms": -1.0}, {"latency_ms": float("inf")}, {"parameters": float("nan")}]
)
def test_limits_refuse(limits):
    with pytest.raises(UserError, match="limit"):
        Limits(**limits)


@given(*[st.none() | st.integers(1, 9)] * 3, st.tuples(*[st.integers(1, 9)] * 3))
def test_every_limit_that_is_set_counts(flops, latency, parameters, cost):
    if flops is latency is parameters is None:
        return
    limits, (f, ms, p) = Limits(flops, latency, parameters), cost
    wanted = (
        (flops is None or f <= flops) and (latency is None or ms <= latency) and (parameters is None or p <= parameters)
    )
    assert limits.met_by(ArchCost(f, p, ms)) == wanted

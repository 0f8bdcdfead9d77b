"""YAML that PyYAML alone would take for something else, and YAML that only looks like it."""

from __future__ import annotations

import pytest
import yaml

from reid.strict_yaml import parse_yaml


@pytest.mark.parametrize(("text", "line"), [("a: {x: 1}\nb: 2\na: {y: 1}\n", 3), ("b: 2\na: {x: 1, y: 2, x: 1}\n", 2)])
def test_a_key_twice(text, line):
    """The first would be lost: a config with two ``data`` blocks has the second's settings alone."""
    with pytest.raises(yaml.MarkedYAMLError) as caught:
        parse_yaml(text)
    assert caught.value.problem in ("key 'a' occurs twice", "key 'x' occurs twice")
    assert caught.value.problem_mark.line + 1 == line


def test_keys_that_only_look_alike():
    text = "1: a\n'1': b\nc: &c {x: 1}\nd: {<<: *c, x: 2}\n"
    with pytest.raises(yaml.YAMLError, match="unhashable"):
        parse_yaml(text + "[x]: 1\n")
    assert parse_yaml(text) == {1: "a", "1": "b", "c": {"x": 1}, "d": {"x": 2}}


@pytest.mark.parametrize("text", ["a: &x {b: *x}\n", "a: &x [1, *x]\n", "a: &x\n  b: &y {c: 1, d: [*x]}\n"])
def test_a_part_of_itself(text):
    with pytest.raises(yaml.MarkedYAMLError, match=r"\*x contains itself"):
        parse_yaml(text)


def test_what_is_finished_may_be_repeated():
    inner = {"z": 1}
    whole = {"k": inner, "l": inner}
    assert parse_yaml("a: &x {k: &y {z: 1}, l: *y}\nm: [*x, *x, *y]\n") == {"a": whole, "m": [whole, whole, inner]}


@pytest.mark.parametrize("text", [r'{a: 1, b: ["x\0y"]}', r'"\0": 1'])
def test_a_zero_byte_in_a_text(text):
    """As a path or a name it would be a traceback where a file is made."""
    with pytest.raises(yaml.MarkedYAMLError, match="a text contains a zero byte"):
        parse_yaml(text)

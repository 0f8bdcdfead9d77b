"""The help of the evaluating tools."""

from __future__ import annotations

import re

import pytest


@pytest.mark.parametrize("name", ["evaluate", "cross_domain"])
def test_help_explains_every_option(call, name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = call(name, "--help", tiny=False)
    assert done.code == 0
    options = re.findall(r"^  (--[a-z-]+)(?: [^ ]+)*  +(\S+ \S+.*)$", done.out, re.MULTILINE)
    names = {option for option, _ in options}
    wanted = {"--metric", "--flip", "--precision", "--config", "--data", "--out", "--device", "--set"}
    more = {"--dataset", "--split", "--rerank", "--fmr", "--calibrate", "--save-features", "--projector", "--arch"}
    assert wanted | (more if name == "evaluate" else {"--datasets"}) <= names

"""Tools are called, in all that is said, as the user who types their names calls them."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.jobs.runs import provenance
from tools.typed import TYPED_BY, as_typed, to_type

ROOT = Path(__file__).resolve().parents[2]


SAID = """usage: python tools/zoo.py add RUN; zoo of tools/retrain.py
torchrun --nproc_per_node 4 tools/retrain.py --arch x
/work/tools/zoo.py tools/none.txt mytools/zoo.py"""


def test_tools_are_called_as_the_user_calls_them(monkeypatch):
    monkeypatch.delenv(TYPED_BY, raising=False)
    assert as_typed(SAID) == SAID
    monkeypatch.setenv(TYPED_BY, "reid-nas")
    assert as_typed(SAID).splitlines() == [
        "usage: reid-nas zoo add RUN; zoo of reid-nas retrain",
        f"torchrun --nproc_per_node 4 {ROOT}/tools/retrain.py --arch x",
        "/work/tools/zoo.py tools/none.txt mytools/zoo.py",
    ]


def test_all_that_a_tool_says_calls_tools_as_typed(call, monkeypatch):
    """Errors and help, also of parts that know nothing of tools; and lines that are printed."""
    monkeypatch.setenv(TYPED_BY, "reid-nas")
    assert "; run reid-nas search first" in call("gain", "--search", "none").err
    monkeypatch.setattr(sys, "argv", ["tools/zoo.py"])
    told = call("zoo", "--help", tiny=False).out
    assert told.startswith("usage: reid-nas zoo [") and "\nreid-nas zoo add RUN --name NAME " in told
    assert to_type("zoo", "add", "a run") == "reid-nas zoo add 'a run'"
    monkeypatch.setattr(sys, "argv", ["/work/tools/of-mine/tools/rank.py", "--n", "4", "--resume"])
    assert provenance.command() == "reid-nas rank --n 4"

"""The pages of results: their commands name plans and rows that there are, and what is published leads to its logs."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from pathlib import Path

import pytest

from tools.jobs.results.plan import parts
from tools.jobs.results.plan.file import find_plan, load_plan
from tools.jobs.results.plan.row_parts import ArchChange, Found, Inherit, Ladder, Lever, RandomArchs, Row
from tools.jobs.results.plan.steps import plan_steps, select

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PUBLISHED = sorted((ROOT / "docs" / "results").glob("*/table.md"))
COMMANDS = [
    shlex.split(line)[2:]
    for page in PAGES
    for line in re.findall(r"^ {4}(python tools/results\.py .*)$", page.read_text(encoding="utf-8"), re.M)
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_commands_name_plans_and_rows_that_there_are(words):
    plan = load_plan(find_plan(Path(words[words.index("--plan") + 1])))
    names = []
    if "--only" in words:
        for word in words[words.index("--only") + 1 :]:
            if word.startswith("--"):
                break
            names.append(word)
    assert select(plan_steps(plan), names)


def test_there_are_such_commands():
    assert len(COMMANDS) >= 4 and sum("--only" in words for words in COMMANDS) >= 3


def test_every_plan_is_told_of():
    told = (ROOT / "docs" / "plans.md").read_text(encoding="utf-8")
    plans = sorted(path.name for path in (ROOT / "configs" / "results").glob("*.yaml"))
    assert [name for name in plans if f"`{name}`" not in told] == []


def test_every_key_of_a_plan_is_told_of():
    told = (ROOT / "docs" / "plans.md").read_text(encoding="utf-8").partition("## The keys of a plan")[2]
    kinds = (parts.Plan, parts.SupernetPart, parts.SearchPart, parts.RankingPart, Row, Found, RandomArchs, ArchChange)
    keys = {field.name for kind in (*kinds, Inherit, Ladder, Lever) for field in dataclasses.fields(kind)}
    assert keys <= {key for code in re.findall(r"`([^`]+)`", told) for key in re.findall(r"[a-z_]+", code)}


@pytest.mark.parametrize("table", PUBLISHED, ids=lambda path: path.parent.name)
def test_every_published_row_leads_to_its_log(table):
    results = json.loads((table.parent / "results.json").read_text(encoding="utf-8"))
    logs = [seed["log"] for row in results["rows"] for seed in row["seeds"]]
    links = re.findall(r"\]\((logs/[^)]+)\)", table.read_text(encoding="utf-8"))
    assert sorted(links) == sorted(logs) and all((table.parent / log).is_file() for log in logs)
    assert f"(results/{table.parent.name}/table.md)" in "".join(page.read_text(encoding="utf-8") for page in PAGES)

"""The published files are what the reference gives, our evaluation meets all of them, and they tell wrong programs."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest

from evaluation.retrieval.rules import MARKET1501, NO_CAMERAS
from evaluation.vectors.__main__ import main, make_cases
from evaluation.vectors.case import FOLDER, read_cases, write_case
from evaluation.vectors.check import check_results
from evaluation.vectors.ours import our_results
from reid.config import config_to_dict

CASES = {case.name: case for case in read_cases()}
EXPECTED = {name: case.expected for name, case in CASES.items()}


def close(value):
    """The value with every number to be met to 1e-11."""
    if isinstance(value, dict):
        return {name: close(below) for name, below in value.items()}
    if isinstance(value, list):
        return [close(row) for row in value]
    return value if value is None else pytest.approx(value, abs=1e-11, rel=0)


def test_the_files_are_reproduced(tmp_path):
    made = make_cases()
    assert {case.name for case in made} == set(CASES)
    for case in made:
        assert config_to_dict(replace(case, expected={})) == config_to_dict(replace(CASES[case.name], expected={}))
        assert case.expected == close(CASES[case.name].expected), case.name
    assert write_case(CASES["ties"], tmp_path).read_bytes() == (FOLDER / "ties.json").read_bytes()
    assert sum(path.stat().st_size for path in FOLDER.glob("*.json")) < 300_000


@pytest.mark.parametrize("name", CASES)
def test_our_evaluation_meets_them(name):
    ours = our_results(CASES[name])
    assert ours["per_query"] == close(CASES[name].expected["per_query"])
    count, mismatches = check_results([CASES[name]], {name: ours})
    assert not mismatches and count > 40


@pytest.mark.parametrize(
    "name, change",
    [
        ("same-camera", {"rule": NO_CAMERAS}),
        ("same-camera-only", {"rule": NO_CAMERAS}),
        ("junk", {"rule": replace(MARKET1501, junk_pids=(), distractor_pids=(-1,))}),
        ("distractors", {"rule": replace(MARKET1501, junk_pids=(0,), distractor_pids=())}),
        ("distractors", {"rule": replace(MARKET1501, distractor_pids=())}),
        ("persons-from-0", {"rule": MARKET1501}),
        ("plain-cosine", {"metric": "euclidean"}),
        ("no-right-answer", {"metric": "cosine"}),
    ],
)
def test_another_rule_is_told(name, change):
    results = our_results(replace(CASES[name], **change, reranking={}))
    assert check_results([CASES[name]], {name: results})[1]


def test_the_gallerys_order_is_told():
    case = CASES["ties"]
    turned = {field: getattr(case.gallery, field)[::-1] for field in ("features", "pids", "camids")}
    results = our_results(replace(case, gallery=replace(case.gallery, **turned), reranking={}))
    assert any("per_query" in line for line in check_results([case], {"ties": results})[1])


@pytest.mark.parametrize("name", CASES["plain-cosine"].reranking)
def test_re_rankings_parameters_are_told(name):
    case = CASES["plain-cosine"]
    right = case.reranking[name]
    # The original distance alone, as lambda 1 has it, knows of no k.
    other = replace(right, k1=right.k1 - 1) if right.weight < 1 else replace(right, weight=0.9)
    (line,) = check_results(
        [case], {case.name: {"reranked": our_results(replace(case, reranking={name: other}))["reranked"]}}
    )[1]
    assert line.startswith(f"plain-cosine: reranked.{name}[") and "of 256 distances differ)" in line


def test_the_command(tmp_path, capsys):
    assert main([]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n{name} " in listed for name in CASES) and str(FOLDER) in listed

    file = tmp_path / "results.json"
    assert main(["--ours", str(file)]) == main(["--check", str(file)]) == 0
    assert capsys.readouterr().out.endswith(" values: no mismatches\n")

    wrong = copy.deepcopy(EXPECTED)
    wrong["ties"]["per_query"]["ap"][2] += 1e-3
    wrong["ties"]["scores"]["queries"] -= 1
    wrong["same-camera-only"]["per_query"]["first_rank"][6] = 3
    file.write_text(json.dumps({name: wrong[name] for name in ("ties", "same-camera-only")}))
    assert main(["--check", str(file)]) == 1
    first, second, third, last = capsys.readouterr().out.splitlines()
    assert first.startswith("ties: per_query.ap[2]: expected 0.")
    assert second == "ties: scores.queries: expected 8, got 7"
    assert third == "same-camera-only: per_query.first_rank[6]: expected null, got 3"
    assert last.startswith("2 of 12 cases, ") and last.endswith(" values: 3 mismatches")


@pytest.mark.parametrize(
    "given, message",
    [
        ("[]", "results: must be a mapping with some of these keys: distractors, junk"),
        ('{"tie": {}}', "results: there is no 'tie'; nearest: ties"),
        ('{"ties": {}}', "ties: must be a mapping with some of these keys: per_query, scores"),
        ('{"ties": {"scores": {"map": 1}}}', "ties: scores: there is no 'map'; known: mAP, mAP_trapezoid"),
        ('{"ties": {"scores": {"mAP": "1"}}}', "ties: scores.mAP: must be a number or null, got a text"),
        ('{"ties": {"per_query": {"ap": [1]}}}', "ties: per_query.ap: must be a list of 8, got one of 1"),
        ('{"ties": {"per_query": {"ap": 1}}}', "ties: per_query.ap: must be a list of 8, got a number"),
        ("{", "is not valid JSON"),
        (None, "does not exist"),
    ],
)
def test_what_cannot_be_checked(tmp_path, capsys, given, message):
    file = tmp_path / "results.json"
    if given is not None:
        file.write_text(given)
    assert main(["--check", str(file)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and not captured.out

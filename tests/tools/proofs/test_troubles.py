"""Trainings that the doctor found in trouble are named beside what follows from their scores."""

from __future__ import annotations

import json
import shutil

import pytest

from reid.files import write_json
from tools.jobs.proofs.gain import Asked, gain
from tools.jobs.proofs.rank import Asked as RankAsked
from tools.jobs.proofs.rank import rank

FOUND = "MLR-2M-A"
LEARNT_NOTHING = "doctor: not learning in 1 of {}: {}; its score is included in the figures"


def _finding(trouble: str, severity: int, since: int = 1, until: int | None = None) -> dict:
    return {"trouble": trouble, "severity": severity, "since": since, "until": until, "evidence": "e", "cure": "c"}


@pytest.fixture(scope="module")
def measured(make_job, search_run, supernet_run, tmp_path_factory):
    """A gain of four trainings of an epoch: two from scratch, and one on inherited weights."""
    out = tmp_path_factory.mktemp("gain") / "run"
    gain({"": make_job(out)}, Asked(search_run, supernet=supernet_run, random=1, repeats=1, baselines=()))
    return out


def test_a_gain_names_trainings_that_ended_in_trouble(
    measured, make_job, search_run, supernet_run, read_page, capsys, tmp_path
):
    out = tmp_path / "run"
    shutil.copytree(measured, out)
    gone, noted = _finding("collapse", 2, 1, 1), _finding("overfitting", 1)
    write_json(out / "alone/R00-s0/doctor.json", [_finding("collapse", 2), _finding("not learning", 3), gone])
    write_json(out / f"alone/{FOUND}-s0/doctor.json", [gone, noted, _finding("PK starvation", 2, since=0)])
    write_json(out / f"alone/{FOUND}-inherited-1ep-s0/doctor.json", [_finding("collapse", 2)])
    asked = Asked(search_run, supernet=supernet_run, random=1, repeats=1, baselines=())
    gain({"": make_job(out, resume=True)}, asked)
    tuned = f"{FOUND}-inherited-1ep-s0"
    assert json.loads((out / "gain.json").read_text())["troubles"] == {
        "not learning": ["R00-s0"],
        "collapse": ["R00-s0", tuned],
    }
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("doctor: ")]
    assert len(said) == 2 and said[0].startswith(LEARNT_NOTHING.format("3 trainings", "R00-s0"))
    assert said[1].startswith(f"doctor: collapse in 2 of 3 trainings: R00-s0, {tuned}; ")
    page = read_page(out / "report.html")
    assert [text for text in page.all("p") if text.startswith("doctor: ")] == said


def test_trainings_by_several_recipes_are_told_apart(measured, make_job, search_run, capsys, tmp_path):
    out = tmp_path / "run"
    for recipe in ("a", "b"):
        shutil.copytree(measured / "alone", out / "alone" / recipe)
        write_json(out / "alone" / recipe / "R00-s0" / "doctor.json", [_finding("not learning", 3)] * (recipe == "b"))
        write_json(out / "alone" / recipe / f"{FOUND}-s0" / "doctor.json", [])
    jobs = {"a": make_job(out), "b": make_job(out)}
    gain(jobs, Asked(search_run, random=1, repeats=1, baselines=()))
    assert LEARNT_NOTHING.format("4 trainings", "b/R00-s0") in capsys.readouterr().out


def test_a_ranking_names_them_too(make_job, supernets, read_page, capsys, tmp_path):
    out = tmp_path / "run"
    asked = RankAsked(supernets[:1], repeats=1, count=4, band="2.5M", within=0.5)
    rank(make_job(out), asked)
    before = json.loads((out / "ranking.json").read_text())
    write_json(out / "alone/B02-s0/doctor.json", [_finding("not learning", 3)])
    capsys.readouterr()
    rank(make_job(out, resume=True), asked)
    (said,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("doctor: not"))
    assert said.startswith(LEARNT_NOTHING.format("4 trainings", "B02-s0"))
    assert said in read_page(out / "report.html").all("p")
    after = json.loads((out / "ranking.json").read_text())
    assert "not learning" not in before["troubles"] and after["troubles"]["not learning"] == ["B02-s0"]

"""``explain_search`` on search folders: finished, interrupted, and none at all."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from random import Random

import numpy as np
import pytest
from matplotlib.image import imread

import tools.jobs.paths
from evaluation.pictures.style import ACCENT, SERIES
from reid.errors import UserError
from search.explanation import explain
from search.history import Candidate, append_candidate, read_candidates
from search.settings import space_settings
from supernet.files import load_space, space_to_dict
from supernet.omni.space import OmniStageSpace
from supernet.space import Space, StageSpace, decode
from supernet.space.genome import sample
from tools.jobs.search.explain import explain_search, searched_space

SPACE = load_space("tiny")


def _write(run, count, finished=True, same=False):
    run.mkdir()
    (run / "search.json").write_text(json.dumps({"finished": finished, "settings": {"space": space_settings(SPACE)}}))
    for trial in range(count):
        genome = sample(SPACE, Random(0 if same else trial))
        arch = decode(SPACE, genome)
        score = 0.3 + arch.stages[3].width / 1000
        append_candidate(
            run / "candidates.jsonl", Candidate(trial, "random", 10**6 + trial, 1, score, None, 1.0, genome, arch)
        )
    return run


@pytest.mark.parametrize("finished", [True, False])
def test_a_search_is_explained_in_table_file_and_picture(tmp_path, capsys, finished):
    run = _write(tmp_path / "run", 60, finished)
    explain_search(run)
    printed = capsys.readouterr().out
    found = json.loads((run / "effects.json").read_text())
    explanation = explain(SPACE, read_candidates(run / "candidates.jsonl"))
    assert found == json.loads(json.dumps(asdict(explanation)))
    assert explanation.dimensions[0].name == "s4.width" and explanation.dimensions[0].spread == pytest.approx(
        4.8, abs=0.1
    )
    lines = [line for line in printed.splitlines() if line.startswith("s4.width")]
    assert len(lines) == 1 and f"{explanation.dimensions[0].options[0].effect:+.2f}" in lines[0]
    assert "60 candidates" in printed and "effects.png" in printed
    pixels = np.rint(imread(run / "effects.png")[..., :3] * 255).reshape(-1, 3)
    for colour in (ACCENT, SERIES[1]):  # better than the mean, and worse
        assert (np.abs(pixels - [int(colour[at : at + 2], 16) for at in (1, 3, 5)]).max(1) <= 1).any()
    before = (run / "effects.json").read_bytes(), (run / "effects.png").read_bytes()
    explain_search(run)
    assert before == ((run / "effects.json").read_bytes(), (run / "effects.png").read_bytes())


def test_a_search_that_may_only_be_read_is_explained_all_the_same(tmp_path, call, capsys, monkeypatch):
    run = _write(tmp_path / "run", 60)
    explain_search(run)
    table = capsys.readouterr().out.partition("all choices:")[0]
    (run / "effects.json").unlink()
    (run / "effects.json").mkdir()  # cannot be written, even by root
    monkeypatch.setattr(tools.jobs.paths.os, "access", lambda path, mode: False)
    done = call("search", "--explain", "--out", run)
    assert done.code == 0 and done.err == ""
    assert done.out == f"{table}note: all choices and the picture are not saved: {run}/effects.json: Is a directory\n"
    refused = call("search", "--explain", "--write", 0, "--out", run)  # this one is to write there
    assert refused.code == 2 and "is not writable" in refused.err


def test_what_cannot_be_explained_is_refused_and_writes_nothing(tmp_path):
    with pytest.raises(UserError, match="contains no search"):
        explain_search(tmp_path / "none")
    with pytest.raises(UserError, match="5 candidates with a score: too few"):
        explain_search(_write(tmp_path / "few", 5))
    with pytest.raises(UserError, match="took the same options"):
        explain_search(_write(tmp_path / "same", 20, same=True))
    broken = _write(tmp_path / "broken", 20)
    (broken / "search.json").write_text('{"settings": {}}')
    with pytest.raises(UserError, match="space cannot be read"):
        explain_search(broken)
    assert not list(tmp_path.rglob("effects.*"))


def test_the_space_is_read_as_searches_write_it_and_as_space_files_do(tmp_path):
    stage = StageSpace(2, (8, 12), (1, 2), (3, 5), (1, 3), se=(False, True), acts=("relu6", "h-swish"))
    sizes = Space("sizes", (64, 32), (8, 16), (stage,), (0, 32), last_strides=(2, 1), smaller_sizes=((32, 16),))
    omni = OmniStageSpace(2, (8, 12), (1, 2), (4, 8), (2, 3), (3,), transition=(False, True))
    mixed = replace(sizes, stages=(omni, stage), stem_kernels=(3, 7), stem_pool=True)
    for space in (SPACE, sizes, replace(sizes, smaller_sizes=()), mixed):
        for form in (space_settings(space), space_to_dict(space)):
            summary = json.loads(json.dumps({"settings": {"space": form}}))
            assert searched_space(summary, tmp_path) == space


def test_settings_of_a_space_are_those_of_searches_from_before_other_stems_and_blocks():
    fields = {"name", "input_size", "stems", "stages", "last_widths", "embedding", "last_strides", "smaller_sizes"}
    of_stage = {"stride", "widths", "depths", "kernels", "expands", "se", "ibn", "acts"}
    written = space_settings(SPACE)
    assert written.keys() == fields and all(stage.keys() == of_stage for stage in written["stages"])

"""The page of one run, and what it reads of the run's folder."""

from __future__ import annotations

import base64
import dataclasses
import json
import re

import pytest
import yaml

from evaluation.comparison.repeats import mean_row
from evaluation.comparison.row import ResultRow, write_result
from evaluation.pictures import curves
from evaluation.pictures.curves import draw_curves
from evaluation.report import training
from evaluation.report.comparison import write_comparison_report
from evaluation.report.doctor import HEALTHY, NOT_ASKED, doctor_summary
from evaluation.report.history import best_score, read_diagnoses, read_histories, training_folders
from evaluation.report.training import write_training_report
from reid.engine.doctor import Diagnosis, Severity, TrainingFacts, Trouble, examine
from reid.engine.runs.journal import Journal
from reid.engine.runs.run_folder import append_metrics
from reid.errors import UserError
from tests.evaluation.rows import FOUND

ROW = dataclasses.replace(FOUND, name="found <1>", mAP=0.6123, flops=5_200_000, latency_ms=1.25, test_set="others")
COLLAPSE = Diagnosis(Trouble.COLLAPSE, Severity.WARNING, 2, None, "spread 0.001 of 1", "optimizer.lr <lower>")
OVERFITTING = Diagnosis(Trouble.OVERFITTING, Severity.NOTE, 1, 2, "accuracy 99 %", "keep_best: true")


@pytest.fixture
def make_run(tmp_path):
    def make(name: str, row: ResultRow | None = ROW, found: tuple[Diagnosis, ...] | None = ()):
        run = tmp_path / name
        run.mkdir(parents=True)
        for epoch in (1, 2, 3):
            append_metrics(run, {"epoch": epoch, "loss": 1 / epoch, "holdout_mAP": (0.3, 0.5, 0.4)[epoch - 1]})
        (run / "config.yaml").write_text(yaml.safe_dump({"recipe": {"source": "of <tests>"}}))
        score = {"mAP": 0.6123, "mAP_trapezoid": 0.6, "rank1": 0.8, "rank5": 0.9, "queries": 7}
        (run / "score.json").write_text(json.dumps({**score, "command": "python x --set 'a=1'", "commit": "abc"}))
        if found is not None:
            (run / "doctor.json").write_text(json.dumps([dataclasses.asdict(each) for each in found]))
        if row:
            write_result(run, dataclasses.replace(row, run=str(run)))
        return run

    return make


@pytest.fixture
def make_repeated(make_run, tmp_path):
    def make(name: str):
        rows = [dataclasses.replace(ROW, mAP=0.6 + seed / 100, seed=seed) for seed in (9, 10)]
        make_run(f"{name}/seed-10", rows[1], (COLLAPSE,))
        make_run(f"{name}/seed-9", rows[0])
        write_result(tmp_path / name, mean_row(rows))
        return tmp_path / name

    return make


def pictures(page: str) -> list[bytes]:
    return [base64.b64decode(each) for each in re.findall(r'base64,([^"]*)"', page)]


def test_the_page_of_a_run(make_run):
    run = make_run("run", found=(COLLAPSE, OVERFITTING))
    path = write_training_report(run)
    page = path.read_text(encoding="utf-8")
    assert path == run / "report.html"
    assert "<h1>Training of found &lt;1&gt;</h1>" in page
    assert re.findall("<h2>(.*?)</h2>", page) == ["Result", "Training", "Command", "Recipe and configuration"]
    cards = dict(zip(re.findall("<dt>(.*?)</dt>", page), re.findall("<dd>(.*?)</dd>", page), strict=True))
    assert cards == {
        "mAP": "61.2 %",
        "Rank-1": "80.0 %",
        "FLOPs": "5.2 M",
        "Parameters": "0.09 M",
        "One image on a CPU": "1.25 ms",
        "Epochs": "3",
        "Best mAP held out": "50.0 %, epoch 2",
        "Doctor": "1 warning, 1 note",
    }
    assert "<p>Trained on pedestrians, at 64x32.</p>" in page and "<p>Tested on others.</p>" in page
    cells = re.findall("<td>(.*?)</td>", page)
    assert cells[:5] == ["found &lt;1&gt;", "61.2", "60.0", "80.0", "90.0"]
    assert cells[5:] == [
        '<span class="mark is-warning">warning</span>collapse', "from 2 on", "spread 0.001 of 1",
        "optimizer.lr &lt;lower&gt;",
        '<span class="mark is-note">note</span>overfitting', "1 to 2, gone", "accuracy 99 %", "keep_best: true",
    ]  # fmt: skip
    assert pictures(page) == [(run / "curves.png").read_bytes()]
    assert "python x --set &#x27;a=1&#x27;\n# at commit abc" in page and "source: of &lt;tests&gt;" in page
    assert "http" not in page.replace('"data:', "")  # nothing is fetched


def test_a_sound_training_and_one_without_the_doctor(make_run):
    for name, found, said, summary in (("a", (), HEALTHY, "nothing found"), ("b", None, NOT_ASKED, "not asked")):
        page = write_training_report(make_run(name, found=found)).read_text()
        assert page.count(f"<p>{said}</p>") == 1 and page.count(f"<dd>{summary}</dd>") == 1
        assert '<table class="words">' not in page


def test_the_page_of_a_repeated_training(make_repeated):
    run = make_repeated("run")
    assert [folder.name for folder in training_folders(run)] == ["seed-9", "seed-10"]  # by number, not by name
    page = write_training_report(run).read_text()
    assert "<dd>69.5 ± 0.7 %</dd>" in page and "<dd>3, 2 seeds</dd>" in page
    cells = re.findall("<td.*?>(.*?)</td>", page)
    assert [cells[0], *cells[4:6]] == ["mean", "69.5 ± 0.7", "80.0 ± 0.0"]
    assert [cells[9], cells[13]] == ["seed 9", "69.0"] and [cells[18], cells[22]] == ["seed 10", "70.0"]
    assert 'class="best"' not in page  # a seed is no winner
    assert f"<p>seed 9: {HEALTHY}</p>" in page
    assert cells[27:29] == ["seed 10", '<span class="mark is-warning">warning</span>collapse']
    assert len(pictures(page)) == 1


def test_a_training_that_is_not_scored_has_a_page(make_run):
    """A supernet's, or one that goes on."""
    run = make_run("supernet", row=None)
    (run / "score.json").unlink()
    page = write_training_report(run, "python x --set a=1", "own: 9 persons").read_text()
    assert "<h1>Training of supernet</h1>" in page
    headings = re.findall("<h2>(.*?)</h2>", page)
    assert headings[:3] == ["Data", "Training", "Command"] and "Result" not in headings
    assert "<p>Trained on own: 9 persons.</p>" in page and "<code>python x --set a=1</code>" in page


def test_a_folder_without_a_training_is_named(tmp_path):
    with pytest.raises(UserError, match="has no training to report"):
        write_training_report(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_comparison_shows_every_training(make_run, make_repeated, tmp_path, monkeypatch):
    evaluated = tmp_path / "evaluated"  # nothing was trained there
    write_result(evaluated, dataclasses.replace(ROW, name="inherited"))
    runs = [make_run("one"), make_repeated("mean"), evaluated]
    rows = [ROW, dataclasses.replace(ROW, name="repeated", mAP=0.7, mAP_spread=0.01, seeds=(9, 10)), ROW]
    asked = []
    monkeypatch.setattr(training, "draw_curves", lambda *given: asked.append(given[1:]) or draw_curves(*given))
    page = write_comparison_report(tmp_path / "report.html", rows, runs=runs).read_text()
    own = tmp_path / "pictures" / "training-1.png"
    assert asked[0] == (own, (runs[0] / "curves.png", own))
    headings = ["Results", "Accuracy against cost", "Training of found &lt;1&gt;", "Training of repeated"]
    assert re.findall("<h2>(.*?)</h2>", page) == headings
    drawn = ["front.png", "latency.png", "training-1.png", "training-2.png"]
    assert pictures(page) == [(tmp_path / "pictures" / name).read_bytes() for name in drawn]
    assert "Bars: standard deviation over seeds" in page
    with pytest.raises(ValueError):  # a run too few
        write_comparison_report(tmp_path / "report.html", rows, runs=runs[:2])


def test_curves_that_were_drawn_of_these_records_are_not_drawn_again(tmp_path, monkeypatch):
    records, drawn, other = [{"epoch": 1, "loss": 2.0}], tmp_path / "drawn.png", tmp_path / "other.png"
    draw_curves([records], drawn)
    saved = []
    monkeypatch.setattr(curves, "save_figure", lambda figure, path, texts: saved.append(path) or path)
    assert draw_curves([records], drawn, [drawn]) == drawn
    (tmp_path / "no.png").write_text("no picture")
    assert draw_curves([records], other, [tmp_path / "none.png", tmp_path / "no.png", drawn]) == other
    assert other.read_bytes() == drawn.read_bytes() and saved == []
    draw_curves([[*records, {"epoch": 2, "loss": 1.0}]], other, [drawn])
    assert saved == [other]


def test_findings_are_read_as_the_training_loop_writes_them(tmp_path):
    facts = TrainingFacts(epochs=9, steps_per_epoch=5, classes=4, identities=4, instances=2)
    records = [
        {"epoch": epoch, "loss": 9.0 if epoch > 2 else 1.0, "embedding_spread": 0.001, "feature_norm": 1.0}
        for epoch in range(1, 5)
    ]
    with Journal(tmp_path, 0, facts, lambda line: None) as journal:
        for record in records:
            journal.write(record)
    expected = examine(records, facts)
    assert len(expected) >= 2
    assert read_diagnoses(tmp_path) == expected
    (history,) = read_histories(tmp_path)
    assert (history.label, history.records, history.diagnoses) == ("", records, expected)
    assert doctor_summary([history]).startswith("1 critical")


@pytest.mark.parametrize(
    "text, message",
    [("{", "not valid JSON"), ("{}", "does not contain findings"), ('[{"trouble": "colds"}]', "trouble: .*colds")],
)
def test_damaged_findings_are_named(tmp_path, text, message):
    (tmp_path / "doctor.json").write_text(text)
    with pytest.raises(UserError, match=message) as error:
        read_diagnoses(tmp_path)
    assert "doctor.json" in str(error.value)


def test_the_best_epoch_is_the_first_of_equals():
    records = [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "holdout_mAP": 0.5}, {"epoch": 4, "holdout_mAP": 0.5}]
    assert best_score(records) == ("holdout_mAP", 0.5, 2)
    assert best_score(records[:1]) is None

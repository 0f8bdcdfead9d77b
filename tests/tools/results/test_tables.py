"""Tables and what is published: every figure against one computed here."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import statistics

import pytest
from PIL import Image

from reid.engine.runs.checkpoint import read_about
from reid.errors import UserError
from reid.files import write_json
from reid.models.network import count_parameters
from search.costs import network_counts
from supernet.catalog import build, find_network, spec_from_dict
from tests.evaluation.pixels import has_front
from tools.jobs.results.plan.steps import plan_steps
from tools.jobs.results.states import is_done, trained_networks
from tools.jobs.results.written.effects import ladder, search_gains
from tools.jobs.results.written.figures import read_figures
from tools.jobs.results.written.portable import portable
from tools.jobs.results.written.publish import publish, write_results
from tools.jobs.results.written.report import NO_FRONT
from tools.jobs.results.written.row_table import short_table

ROWS = [
    {"name": "base", "network": "mobilenetv2", "recipe": "mlr", "seeds": [0, 1, 2], "published": "Theirs"},
    {"name": "one | other", "network": "mobilenetv2"},
    {"name": "waits", "network": "resnet18"},
]
LADDER = {"row": "base", "also": ["one | other"], "levers": [{"name": "longer", "epochs": 9, "seeds": [0, 1]}]}
BASE, LONGER = (0.40, 0.43, 0.49), (0.50, 0.56)


@pytest.fixture
def setup(make_setup, finish, tmp_path):
    (tmp_path / "theirs.yaml").write_text(
        "about: full size\nrows: [{name: Theirs, weights: scratch, mAP: 45.0, rank1: 60.0, source: a paper}]"
    )
    made = make_setup(rows=ROWS, ladder=LADDER, published="theirs.yaml", target="onnx-cpu-1t")
    for seed, mAP in enumerate(BASE):
        finish(made, f"row/base/{seed}", mAP, 0.6 + 0.1 * seed)
    for seed, mAP in enumerate(LONGER):
        finish(made, f"row/longer/{seed}", mAP)
    finish(made, "row/one | other/0", 0.30, notes=("taken back once",))
    return made


def _cells(table: str, name: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_rows_of_the_table(setup):
    rows = read_figures(setup)
    assert [row.name for row in rows] == ["base", "one | other", "longer"]
    page = write_results(setup, rows).read_text().split("###")[0]
    spec = spec_from_dict(read_about(setup.places.row_run("base", 0) / "last.safetensors"))
    counts, parameters = network_counts(build(spec).eval(), (64, 32)), count_parameters(build(spec))
    mean, spread = 100 * statistics.fmean(BASE), 100 * statistics.stdev(BASE)
    assert _cells(page, "base") == [
        *("base", "mlr", "3", "0, 1, 2", f"{mean:.1f} ± {spread:.1f}", "70.0 ± 10.0"),
        *(f"{mean + 1:.1f} ± {spread:.1f}", "72.0 ± 10.0"),
        *(f"{counts.flops / 1e6:.1f}", f"{counts.mlr / 1e6:.1f}", f"{parameters / 1e6:.2f}"),
    ]
    assert _cells(page, r"one \| other")[3:7] == ["0", "30.0", "50.0", "31.0"]
    assert "one | other, seed 0: taken back once" in page and "longer" not in page and "waits" not in page
    assert "at 64x32" in page and "tested on made up: 3 queries" in page


def test_the_page_has_the_tables_and_leads_to_the_runs(setup, read_page):
    (setup.places.row_run("base", 1) / "report.html").touch()
    step = next(step for step in plan_steps(setup.plan) if step.name == "row/longer/0")
    (setup.places.flip(step) / "report.html").touch()
    text = write_results(setup, read_figures(setup)).read_text()
    page = read_page(setup.places.out / "report.html")
    assert page.links == ["flip/longer-s0/report.html", "rows/base-s1/report.html"]
    assert page.all("a") == ["row/longer/0, flip test", "row/base/1"]
    assert page.pictures == [(setup.places.out / "front.png").read_bytes()]
    assert [f"### {heading}" in text for heading in page.all("h2")[2:-3]] == [True] * 4
    table = [re.split(r" (?<!\\)\| ", line[2:-2]) for line in text.splitlines() if line.startswith("| ")]
    cells = [cell.strip("`").replace("\\|", "|") for line in table if line[0] != "---" for cell in line]
    assert sorted(page.all("th") + page.all("td")) == sorted(cell for cell in cells if cell)
    assert dict(zip(page.all("dt"), page.all("dd"), strict=True))["Best mAP"] == "44.0 %, base"


def test_the_ladder(setup):
    base, effects = ladder(setup, read_figures(setup))
    assert base.name == "base" and [effect.lever.name for effect in effects] == ["one | other", "longer"]
    longer = effects[1].mAP
    error = math.sqrt(statistics.variance(BASE) / 3 + statistics.variance(LONGER) / 2)
    assert longer.value == pytest.approx(statistics.fmean(LONGER) - statistics.fmean(BASE))
    assert longer.error == pytest.approx(error) and effects[0].mAP.error is None
    page = write_results(setup, read_figures(setup)).read_text()
    (part,) = [part for part in page.split("###") if part.startswith(" One lever")]
    mark = "*" if longer.settled else ""
    assert _cells(part, "longer")[3] == f"{100 * longer.value:+.1f} ± {100 * error:.1f}{mark}"
    assert _cells(part, r"one \| other")[3] == f"{30 - 100 * statistics.fmean(BASE):+.1f}"


def test_published_rows_stand_apart(setup):
    page = write_results(setup, read_figures(setup)).read_text()
    ours, theirs = page.split("### Published by others, not measured here")
    assert "| Theirs | scratch | a paper | 45 | 60 | - |" in theirs and "| Theirs |" not in ours
    assert "base: 44.0 mAP / 70.0 Rank-1 of ours, 45.0 / 60.0 published (-1.0, within 1.5 points)" in ours


def test_how_rows_were_made(setup):
    page = write_results(setup, read_figures(setup)).read_text().split("### How each row was made")[1]
    lines = [line for line in page.splitlines() if line.startswith("| base |")]
    assert len(lines) == 3 and all("python tools/retrain.py --arch base" in line for line in lines)
    assert [line.split("|")[4].strip() for line in lines] == ["c0", "c1", "c2"]
    assert "/base-s2/metrics.jsonl`" in lines[2]


def test_latency_stands_where_it_was_measured(setup):
    machine = {"processor": "P", "torch": "1"}
    times = {"base": {"ms": 3.25, "input_size": [64, 32]}, "longer": {"ms": 9.0, "input_size": [256, 128]}}
    write_json(
        setup.places.out / "latency" / "latency.json",
        {"target": "onnx-cpu-1t", "machine": machine, "networks": times, "command": "x", "commit": "y"},
    )
    rows = {row.name: row.latency_ms for row in read_figures(setup)}
    assert rows == {"base": 3.25, "one | other": None, "longer": None}  # the last at another size
    page = write_results(setup, read_figures(setup)).read_text()
    assert _cells(page.split("###")[0], "base")[-1] == "3.25" and "ms (onnx-cpu-1t)" in page
    assert _cells(page.split("###")[0], r"one \| other")[-1] == "-" and "processor P" in page
    with Image.open(setup.places.out / "front.png") as picture:
        assert picture.width > 1.5 * picture.height


@pytest.mark.parametrize("words", [None, "made up, from another start"])
def test_the_picture_has_a_front_where_all_rows_can_be_compared(setup, words):
    row, worse, *_ = read_figures(setup)
    other = dataclasses.replace(worse, flops=row.flops // 2, train_set=words or row.train_set)
    picture = setup.places.out / "front.png"
    write_results(setup, [row, other])
    drawn = picture.read_bytes()
    write_results(setup, [row, other, dataclasses.replace(row, name="lever", train_set="longer", lever=True)])
    assert picture.read_bytes() == drawn, "a lever is not drawn"
    assert has_front(picture) == (words is None)
    page = (setup.places.out / "report.html").read_text(encoding="utf-8")
    assert (NO_FRONT in page) == (words is not None)


def test_latencies_of_another_target_are_measured_again(setup):
    networks = {name: {"ms": 1.0, "input_size": [64, 32]} for name in trained_networks(setup.places)}
    data = {"target": "torch-cpu-1t", "machine": {}, "networks": networks, "command": "x", "commit": "y"}
    write_json(setup.places.out / "latency" / "latency.json", data)
    for target, done in (("torch-cpu-1t", True), ("onnx-cpu-1t", False)):
        plan = dataclasses.replace(setup.plan, target=target)
        assert is_done(setup.places, plan_steps(plan)[-1]) == done


def test_seeds_that_stopped_at_different_epochs_are_a_row(make_setup, finish):
    setup = make_setup(rows=[{"name": "a", "network": "mobilenetv2", "seeds": [0, 1]}])
    finish(setup, "row/a/0", 0.4, epochs=7)
    finish(setup, "row/a/1", 0.5, epochs=5)
    (row,) = read_figures(setup)
    assert row.epochs == 7 and row.mean("mAP") == pytest.approx(0.45)


def test_nothing_is_told_before_anything_is_finished(make_setup, read_page, tmp_path):
    setup = make_setup(rows=ROWS, published=None)
    assert read_figures(setup) == ()
    assert write_results(setup, ()).read_text() == "No row is finished yet.\n"
    page = read_page(setup.places.out / "report.html")
    assert page.all("p") == ["No row is finished yet."] and not page.pictures and not page.links
    assert short_table(()) == "no row is finished yet"
    with pytest.raises(UserError, match="no row in .*out is finished, so there is nothing to publish"):
        publish(setup, tmp_path / "docs")
    assert not (tmp_path / "docs").exists()


def test_seeds_that_were_scored_on_other_images_are_no_row(make_setup, finish):
    setup = make_setup(rows=ROWS)
    finish(setup, "row/base/0", 0.4)
    finish(setup, "row/base/1", 0.4, test_set="others: 7 queries")
    with pytest.raises(UserError, match="cannot be one row: test_set differs"):
        read_figures(setup)


def test_a_score_that_is_not_the_flip_test_is_refused(make_setup, finish):
    setup = make_setup(rows=ROWS)
    step = finish(setup, "row/base/0", 0.4)
    score = {"mAP": 0.9, "rank1": 0.9, "protocol": {"flip": True, "rerank": {"k1": 20}}}
    write_json(setup.places.flip(step) / "score.json", score)
    with pytest.raises(UserError, match="not an evaluation with only the flip test"):
        read_figures(setup)


def test_search_gain_is_told_where_all_rivals_are_trained_alike(make_setup, finish):
    plan = {
        "supernets": [{"name": "S"}],
        "searches": [{"name": "F", "supernet": "S", "flops": "6M"}],
        "rows": [
            {"name": "found", "found": {"search": "F"}, "seeds": [0, 1]},
            {"name": "second", "found": {"search": "F", "number": 2}},
            {"name": "random", "random": {"search": "F", "count": 2}},
        ],
    }
    setup = make_setup(**plan)
    finish(setup, "row/found/0", 0.5)
    finish(setup, "row/found/1", 0.54)
    finish(setup, "row/random 1/0", 0.4)
    assert search_gains(setup, read_figures(setup)) == []
    finish(setup, "row/random 2/0", 0.46)
    finish(setup, "row/second/0", 0.9)
    (gain,) = search_gains(setup, read_figures(setup))
    assert gain.first == "found" and gain.mAP.value == pytest.approx(0.52 - 0.43)
    assert gain.mAP.error == pytest.approx(math.hypot(0.02, 0.03))
    assert [row.kind for row in read_figures(setup)] == ["searched", "searched", "random", "random"]


TAUGHT = {"teacher": "small", "set": ["retrain.losses.distillation.similarity=1.0"]}
OTHERWISE = {
    "change": {"last_stride": 1},
    "set": ["retrain.augment.erase=0"],
    "batch": "4x2",
    "teacher": "big",
}


@pytest.mark.parametrize("key", [None, *OTHERWISE])
def test_a_row_that_is_trained_otherwise_than_its_rivals_says_nothing_of_the_search(make_setup, finish, key):
    """Each of these leaves the recipe's name, epochs and data as they are; what differs in words only is no
    difference."""
    both = TAUGHT if key == "teacher" else {"set": ["retrain.augment.erase=0.5"]}
    own = {**both, key: OTHERWISE[key]} if key else both
    setup = make_setup(
        supernets=[{"name": "S"}],
        searches=[{"name": "F", "supernet": "S", "flops": "6M"}],
        rows=[
            *({"name": name, "network": "resnet18"} for name in ("small", "big")),
            {"name": "found", "found": {"search": "F"}, **both},
            {"name": "in words", "found": {"search": "F"}, **both, "set": 2 * both["set"]},
            {"name": "otherwise", "found": {"search": "F"}, **own},
            {"name": "rival", "random": {"search": "F", "count": 1}, **both},
            {"name": "rival otherwise", "random": {"search": "F", "count": 1}, **own},
        ],
    )
    for name in ("found", "in words", "otherwise"):
        finish(setup, f"row/{name}/0", 0.5)
    finish(setup, "row/rival/0", 0.4)
    finish(setup, "row/rival otherwise/0", 0.45)
    gains = [round(gain.mAP.value, 3) for gain in search_gains(setup, read_figures(setup))]
    assert gains == ([0.1, 0.1, 0.05] if key else [0.1, 0.1, 0.1, 0.05, 0.05, 0.05])


def test_nothing_is_published_over_the_plans_own_files(setup):
    """Its table and archs would be written again without their paths."""
    with pytest.raises(UserError, match="is the folder in which the plan itself writes; give another"):
        publish(setup, setup.places.out.parent / "." / setup.places.out.name)


def test_what_is_published_tells_nothing_of_the_machine(setup, tmp_path):
    folder = tmp_path / "docs" / "published"
    page = publish(setup, folder).read_text()
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    logs = {f"logs/{name}" for name in ("base-s0", "base-s1", "base-s2", "longer-s0", "longer-s1", "one-other-s0")}
    assert files == {"results.json", "table.md", "front.png", *(f"{log}.jsonl" for log in logs)}
    data = json.loads((folder / "results.json").read_text())
    assert [seed["log"] for seed in data["rows"][0]["seeds"]] == [f"logs/base-s{seed}.jsonl" for seed in range(3)]
    assert (
        data["rows"][0]["mAP"] == pytest.approx(statistics.fmean(BASE))
        and "[`logs/base-s1.jsonl`](logs/base-s1.jsonl)" in page
    )
    for path in folder.rglob("*.*"):
        if path.is_file() and path.suffix != ".png":
            assert str(tmp_path) not in path.read_text() and "/tmp" not in path.read_text(), path


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("python tools/x.py --out /home/me/runs/a-s0 --seed 1", "python tools/x.py --out a-s0 --seed 1"),
        ('{"run": "/x/y.z"}', '{"run": "y.z"}'),
        ("github.com/a/b and https://host/a/b", "github.com/a/b and https://host/a/b"),
        ("61.6 / 81.3, k1/k2, a mAP/Rank-1", "61.6 / 81.3, k1/k2, a mAP/Rank-1"),
        ("runs/results/rows/x", "runs/results/rows/x"),
    ],
)
def test_paths_are_cut(text, wanted):
    assert portable(text) == wanted


def test_a_named_network_that_an_earlier_search_found_is_drawn_as_one(make_setup, finish):
    rows = [{"name": name, "network": name} for name in ("OSN-210M-C", "OSN-210M-B", "mobilenetv2")]
    setup = make_setup(rows=[*rows, {"name": "wider stride", "network": "OSN-210M-C", "change": {"last_stride": 2}}])
    for row in rows:
        spec, _ = find_network(row["network"], [], None, (256, 128), 2)
        finish(setup, f"row/{row['name']}/0", 0.5, kind="searched" if spec.searched else "baseline")
    finish(setup, "row/wider stride/0", 0.5, kind="searched")
    # The second was drawn from the same space, and never scored.
    assert [row.kind for row in read_figures(setup)] == ["searched", "baseline", "baseline", "baseline"]

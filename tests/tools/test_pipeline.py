"""The whole way at a tiny scale: images to a searched, retrained and compared network."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import shutil

import pytest
import torch
from PIL import Image

import tools.jobs.pipeline
from evaluation.comparison.row import read_result
from reid.engine.runs.checkpoint import load_weights, read_about
from reid.engine.runs.run_folder import read_metrics
from reid.errors import UserError
from reid.models.network import count_parameters
from search.costs import whole_network_flops
from search.history import read_candidates
from supernet.catalog import build, spec_from_dict
from supernet.files import ARCHS, load_arch, load_space
from supernet.space.genome import contains, largest
from supernet.trained.checkpoint import load_supernet
from tools.jobs.evaluate.job import evaluate
from tools.jobs.pipeline import Asked, pipeline
from tools.jobs.training.wanted import network_to_train

BEST = "MLR-6M-A"
TUNED = f"inherited-{BEST}-2ep"
RUNS = (
    f"retrain-{BEST}",
    "retrain-mobilenetv2",
    "retrain-osnet_x0_25",
    TUNED,
    f"inherited-{BEST}",
    "inherited-largest",
)
ALL = Asked(baselines=("mobilenetv2", "osnet_x0_25"), finetune_epochs=2)


@pytest.fixture(scope="module")
def run(make_job, tmp_path_factory):
    out = tmp_path_factory.mktemp("pipeline") / "run"
    page = pipeline(make_job(out), ALL)
    assert page.resolve() == (out / "compare" / "report.html").resolve()
    return out


def _files(folder, without: tuple[str, ...] = ()):
    """Every file's time and content, so that a rewrite shows even where it writes the same."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] not in without]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def test_every_network_has_a_result(run, data_root):
    rows = {name: read_result(run / name) for name in RUNS}
    kinds = ["searched", "baseline", "baseline", "searched", "supernet", "supernet"]
    assert [row.kind for row in rows.values()] == kinds
    assert [row.epochs for row in rows.values()] == [1, 1, 1, 2, 0, 0]
    (folder,) = (data_root / "data").glob("synthetic-*")
    queries, gallery = (len(list((folder / part).glob("*.jpg"))) for part in ("query", "bounding_box_test"))
    for row in rows.values():
        assert row.test_set == f"synthetic: {queries} queries, {gallery} gallery images"
        assert row.input_size == (64, 32) and row.seed == 0
        assert 0 < row.mAP <= 1 and 0 <= row.rank1 <= 1 and row.latency_ms > 0
    images = len(list((folder / "bounding_box_train").glob("*.jpg")))
    assert rows["retrain-osnet_x0_25"].train_set == f"synthetic: 20 identities, {images} images"
    assert rows["inherited-largest"].train_set.startswith("synthetic: 14 identities")


def test_results_count_the_networks_as_they_are(run):
    for name in (f"retrain-{BEST}", "retrain-mobilenetv2"):
        row = read_result(run / name)
        spec = spec_from_dict(read_about(run / name / "last.safetensors"))
        assert row.flops == whole_network_flops(spec.backbone)
        assert row.parameters == count_parameters(build(spec))
    row = read_result(run / "inherited-largest")
    assert row.flops == whole_network_flops(largest(load_space("tiny")))


def test_search_kept_to_its_limit(run):
    space, summary = load_space("tiny"), json.loads((run / "search" / "search.json").read_text())
    candidates = read_candidates(run / "search" / "candidates.jsonl")
    assert summary["finished"] and len(candidates) == 6
    paths = sorted((run / "search" / "archs").glob("*.yaml"))
    assert [path.stem for path in paths] == [BEST, "MLR-6M-B"]
    for path in paths:
        named = load_arch(path)
        assert contains(space, named.arch) and named.origin["space"] == "tiny"
        assert named.origin["flops"] == whole_network_flops(named.arch) <= 6_000_000
    assert all(whole_network_flops(candidate.arch) <= 6_000_000 for candidate in candidates)
    best = max(candidate.score for candidate in candidates)
    assert load_arch(paths[0]).origin["score"] == best
    assert (run / "search" / "search_progress.png").exists() and (run / "search" / "front.json").exists()


def test_search_page_says_whom_it_scored_on_and_what_is_wrong_with_the_supernet(run):
    rows = dict(re.findall(r"<tr><td>(\w+)</td><td>([^<]*)</td></tr>", (run / "search" / "report.html").read_text()))
    assert re.fullmatch(r"synthetic, held-out identities: \d+ identities, \d+ images as query, .*", rows["data"])
    assert rows["limits"].startswith("at most 6M FLOPs at ") and "supernet.safetensors" in rows["network"]
    assert rows["warning"].startswith("the supernet&#x27;s training: unfinished: ")


def test_supernet_page_says_command_and_data(run):
    page = (run / "supernet" / "report.html").read_text()
    assert "<h2>Command</h2>" in page
    assert re.search(r"<p>Trained on synthetic: \d+ identities, .*; held out for the search: \d+ identities", page)


def test_supernet_is_of_the_space(run):
    supernet = load_supernet(run / "supernet" / "supernet.safetensors", torch.device("cpu"))
    assert supernet.space == load_space("tiny")
    (record,) = read_metrics(run / "supernet")
    assert {"loss", "random_loss", "largest_mAP", "smallest_mAP"} <= record.keys()


def test_report_and_table(run):
    page, table = (run / "compare" / "report.html").read_text(), (run / "compare" / "table.md").read_text()
    tuned = f"{BEST} (inherited, trained on for 2 epochs)"
    for name in (BEST, "mobilenetv2", "osnet_x0_25", tuned, f"{BEST} inherited", "tiny largest"):
        assert name in page and name in table
    rows = list(csv.DictReader((run / "compare" / "table.csv").open(newline="")))
    assert [row["epochs"] for row in rows] == ["1", "1", "1", "2", "", ""]
    assert [row["recipe"] for row in rows] == [*["standard, changed"] * 4, "", ""]
    assert "<td>recipe.epochs</td>" in page and "Without a configuration of a training" in page
    assert len(re.findall(r"data:image/png;base64,", page)) >= 2
    row = read_result(run / "retrain-osnet_x0_25")
    assert f"| {100 * row.mAP:.1f} |" in table.replace("**", "")
    assert f"| {row.flops / 1e6:.1f} |" in table.replace("**", "")
    for name in RUNS[:3]:
        with Image.open(run / name / "curves.png") as picture:
            assert picture.size > (300, 200)


@pytest.mark.parametrize("name", [f"retrain-{BEST}", "retrain-osnet_x0_25"])
def test_weights_score_the_same_again(run, make_job, tmp_path, name):
    checkpoint = run / name / "last.safetensors"
    evaluate(make_job(tmp_path / "again"), checkpoint, None, run / "search")
    again, row = read_result(tmp_path / "again"), read_result(run / name)
    assert (again.mAP, again.rank1, again.flops) == (row.mAP, row.rank1, row.flops)
    first, second = (json.loads((folder / "score.json").read_text()) for folder in (run / name, tmp_path / "again"))
    assert all(first[key] == second[key] for key in ("mAP", "rank1", "rank5", "mINP", "queries"))


def test_inherited_weights_score_the_same_again(run, make_job, tmp_path):
    supernet = run / "supernet" / "supernet.safetensors"
    evaluate(make_job(tmp_path / "again"), supernet, BEST, run / "search")
    again, row = read_result(tmp_path / "again"), read_result(run / f"inherited-{BEST}")
    assert dataclasses.replace(again, latency_ms=None, run="") == dataclasses.replace(row, latency_ms=None, run="")


def test_evaluation_runs_where_the_job_says(run, make_job, tmp_path, monkeypatch):
    """The network must be carried to the job's device; "meta" stands for one that is not the CPU."""
    seen = []
    monkeypatch.setattr("tools.jobs.evaluate.job.score_on_test", lambda network, *rest, **named: seen.append(network))
    job = dataclasses.replace(make_job(tmp_path / "out"), device=torch.device("meta"))
    evaluate(job, run / "retrain-mobilenetv2" / "last.safetensors", None, run / "search")
    assert {parameter.device.type for parameter in seen[0].parameters()} == {"meta"}


def test_resumed_when_finished_does_nothing_new(run, make_job, capsys):
    before = _files(run, without=("compare",))
    pipeline(make_job(run, resume=True), ALL)
    assert _files(run, without=("compare",)) == before
    assert "training a supernet" not in capsys.readouterr().out


def test_lost_steps_are_made_again_alike(run, make_job, tmp_path):
    """A pipeline that was killed after the search: the steps that are there stay, the others follow."""
    copy = tmp_path / "copy"
    for name in ("config.yaml", "supernet", "search"):
        (shutil.copytree if (run / name).is_dir() else shutil.copy)(run / name, _made(copy) / name)
    before = _files(copy)
    pipeline(make_job(copy, resume=True), Asked())
    assert {path: state for path, state in _files(copy).items() if path in before} == before
    again = copy / f"retrain-{BEST}" / "last.safetensors"
    networks = []
    for path in (again, run / f"retrain-{BEST}" / "last.safetensors"):
        networks.append(build(spec_from_dict(read_about(path))))
        load_weights(path, networks[-1])
    first, second = (network.state_dict() for network in networks)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert read_result(copy / f"retrain-{BEST}").mAP == read_result(run / f"retrain-{BEST}").mAP


def test_a_baseline_is_never_an_arch_of_the_searchs_folder(run, make_job, tmp_path, monkeypatch):
    copy, seen = tmp_path / "copy", {}
    for name in ("config.yaml", "supernet", "search"):
        (shutil.copytree if (run / name).is_dir() else shutil.copy)(run / name, _made(copy) / name)
    shutil.copy(copy / "search" / "archs" / "MLR-6M-B.yaml", copy / "search" / "archs" / "MLR-210M-A.yaml")

    def note(job, what):
        seen[job.out.name] = network_to_train(job, what)[0].backbone
        if len(seen) == 2:
            raise UserError("far enough")

    monkeypatch.setattr(tools.jobs.pipeline, "retrain", note)
    with pytest.raises(UserError, match="far enough"):
        pipeline(make_job(copy, resume=True), Asked(baselines=["MLR-210M-A"]))
    found, named = load_arch(copy / "search" / "archs" / f"{BEST}.yaml"), load_arch(ARCHS / "MLR-210M-A.yaml")
    assert seen == {f"retrain-{BEST}": found.arch, "retrain-MLR-210M-A": named.arch.at((64, 32))}


def test_goes_on_where_it_was_ended_between_score_and_result(run, make_job, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    before = read_result(run / "inherited-largest")
    (copy / "inherited-largest" / "result.json").unlink()
    pipeline(make_job(copy, resume=True), Asked())
    assert read_result(copy / "inherited-largest").mAP == before.mAP


def test_goes_on_where_files_of_what_was_finished_are_gone(run, make_job, tmp_path, monkeypatch):
    """Weights, an arch that was found; or the page, before which a training was killed."""
    copy, trained = shutil.copytree(run, tmp_path / "copy"), []
    page, weights = copy / "retrain-mobilenetv2" / "report.html", copy / f"retrain-{BEST}" / "last.safetensors"
    arch, scored = copy / "search" / "archs" / f"{BEST}.yaml", copy / "inherited-largest" / "last.safetensors"
    before = arch.read_text()
    for path in (page, weights, arch, scored):
        path.unlink()

    def found_again(job, *what):
        assert job.out == copy / "search" and job.resume
        arch.write_text(before)

    for name, stand_in in (
        ("search", found_again),
        ("retrain", lambda job, what: trained.append((job.out, job.resume))),
        ("compare", lambda *what: None),
    ):
        monkeypatch.setattr(tools.jobs.pipeline, name, stand_in)
    pipeline(make_job(copy, resume=True), Asked(baselines=("mobilenetv2",)))
    assert trained == [(weights.parent, True)] and page.is_file() and scored.is_file() and arch.is_file()


def _made(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize(
    ("resume", "seed", "overrides", "flops", "message"),
    [
        (False, 0, (), None, "already holds a run"),
        (True, 1, (), None, "seed: 0 then, 1 now"),
        (True, 0, ("retrain.epochs=2",), None, "experiment.retrain.epochs: 1 then, 2 now"),
        (True, 0, (), "7M", "flops: 6000000 then, 7000000 now"),
    ],
)
def test_another_pipeline_is_not_mixed_in(run, make_job, resume, seed, overrides, flops, message):
    before = _files(run)
    with pytest.raises(UserError, match=message):
        pipeline(make_job(run, *overrides, resume=resume, seed=seed), Asked(flops=flops))
    assert _files(run) == before


# Single tools on what the pipeline left; see test_errors.py for those that need nothing.


def test_compare_tool(run, call, tmp_path):
    done = call("compare", *(run / name for name in RUNS[:2]), "--out", tmp_path, "--no-latency", tiny=False)
    assert done.code == 0 and f"report: {tmp_path}/report.html" in done.out
    assert BEST in done.out and "mobilenetv2" in done.out
    rows = [read_result(run / name) for name in RUNS[:2]]
    assert all(f"{row.latency_ms:.2f}" in done.out for row in rows)


@pytest.mark.parametrize("step", ["supernet", f"retrain-{BEST}", "search", "inherited-largest"])
def test_tools_leave_finished_runs_alone(run, call, step, refused):
    before = _files(run)
    out, supernet = ("--out", run / step), run / "supernet"
    calls = {
        "supernet": ("train_supernet", *out),
        f"retrain-{BEST}": ("retrain", "--arch", BEST, "--search", run / "search", *out),
        "search": ("search", "--supernet", supernet, *out),
        "inherited-largest": ("evaluate", supernet / "supernet.safetensors", "--arch", "largest", *out),
    }
    refused(call(*calls[step]), "already")
    assert _files(run) == before


def test_further_candidates_are_written_as_arch_files(run, call, tmp_path, refused):
    out = shutil.copytree(run / "search", tmp_path / "search")
    wanted = next(each for each in read_candidates(out / "candidates.jsonl") if each.trial == 3)
    done = call("search", "--out", out, "--write", "3")
    assert done.code == 0 and "MLR-6M-T3: " in done.out and f"{wanted.flops / 1e6:.1f}M FLOPs" in done.out
    assert load_arch(out / "archs" / "MLR-6M-T3.yaml").arch == wanted.arch
    before = _files(out)
    refused(call("search", "--out", out, "--write", "0", "99"), "--write 99: .* no candidate of that number")
    refused(
        call("search", "--out", run / "supernet", "--write", "0"),
        "supernet contains no search; give the --out of a finished one",
    )
    assert _files(out) == before


def test_resume_with_another_configuration_isrefused(run, call, refused):
    before = _files(run)
    done = call("train_supernet", "--out", run / "supernet", "--resume", "--set", "supernet.recipe.optimizer.lr=0.2")
    refused(done, "supernet.recipe.optimizer.lr: 0.05 then, 0.2 now")
    done = call("retrain", "--arch", "resnet18", "--out", run / "retrain-mobilenetv2", "--resume")
    refused(done, "network")
    assert _files(run) == before


def test_supernet_of_another_space_isrefused(run, call, tmp_path, refused):
    out = tmp_path / "out"
    done = call("search", "--supernet", run / "supernet", "--set", "space=mlr-210m", "--out", out, "--flops", "100M")
    refused(done, "supernet of another space: name is tiny there and mlr-210m in space mlr-210m")
    done = call("search", "--supernet", run / "supernet", "--set", "input_size=[96, 48]", "--out", out)
    refused(done, r"another space: input_size is \[64, 32\] there and \[96, 48\]")
    assert not out.exists()


def test_wrong_kinds_of_checkpoint_arerefused(run, call, tmp_path, refused):
    network, supernet = run / "retrain-mobilenetv2" / "last.safetensors", run / "supernet" / "supernet.safetensors"
    out = ("--out", tmp_path / "out")
    refused(call("evaluate", network, "--arch", BEST, *out), "--arch is only for supernets; leave it out")
    refused(call("evaluate", supernet, *out), "name an arch of it with --arch NAME")
    refused(call("evaluate", supernet, "--arch", "mobilenetv2", *out), "not in space tiny")
    refused(call("evaluate", supernet, "--arch", "resnet18", *out), "a supernet contains only archs")
    refused(call("evaluate", supernet, "--arch", "MLR-6M-C", "--search", run / "search", *out), "nearest: MLR-6M-")
    (tmp_path / "supernet.safetensors").write_bytes(network.read_bytes())
    refused(call("search", "--supernet", tmp_path, *out), "kind 'arch', not a supernet")
    (tmp_path / "supernet.safetensors").write_bytes(supernet.read_bytes()[:2000])
    refused(call("search", "--supernet", tmp_path, *out), "not a readable safetensors file")
    assert not (tmp_path / "out").exists()

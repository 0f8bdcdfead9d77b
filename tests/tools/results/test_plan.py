"""Plans: what is refused, which steps they come to, in which order, and what each needs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from reid.config import config_to_dict
from reid.errors import UserError
from supernet.arch import Arch, Block
from supernet.files import load_arch, mobilenet_v2
from supernet.omni.arch import OmniBlock, OmniStage
from tools.jobs.experiment import CONFIGS
from tools.jobs.results.archs import changed, network_name
from tools.jobs.results.checks import check_plan
from tools.jobs.results.commands import step_commands
from tools.jobs.results.job import Ask, run_results
from tools.jobs.results.plan.file import find_plan, load_plan, planned_rows
from tools.jobs.results.plan.published import load_published
from tools.jobs.results.plan.row_parts import ArchChange
from tools.jobs.results.plan.setup import Setup
from tools.jobs.results.plan.steps import Places, plan_steps, select
from tools.jobs.results.settings import step_settings

PLANS = CONFIGS / "results"
SMALL = {
    "config": str(CONFIGS / "demo.yaml"),
    "recipe": "standard",
    "epochs": 4,
    "target": "onnx-cpu-1t",
    "supernets": [{"name": "S"}, {"name": "spare"}],
    "searches": [{"name": "6M", "supernet": "S", "flops": "6M"}],
    "rows": [
        {"name": "base", "network": "mobilenetv2", "seeds": [0, 7]},
        {"name": "taught", "network": "mobilenetv2", "teacher": "big", "set": ["retrain.losses.distillation.logits=1"]},
        {"name": "found", "found": {"search": "6M"}, "seeds": [3, 4, 5]},
        {"name": "random", "random": {"search": "6M", "count": 2}},
        {"name": "big", "network": "resnet18"},
    ],
    "ladder": {
        "row": "base",
        "levers": [{"name": "long", "epochs": 8}, {"name": "se", "change": {"se": True}, "seeds": [0]}],
    },
    "rankings": [{"name": "R", "supernet": "S", "n": 4}],
}


@pytest.fixture
def make(tmp_path):
    def write(**other) -> Path:
        path = tmp_path / "plan.yaml"
        path.write_text(yaml.safe_dump({**SMALL, **other}))
        return path

    return write


@pytest.fixture
def setup(make, tmp_path) -> Setup:
    return Setup(load_plan(make()), make(), Places(tmp_path / "out"))


def test_steps_stand_in_the_order_of_importance_behind_what_they_need(setup):
    steps = plan_steps(setup.plan)
    assert [step.name for step in steps] == [
        *("row/base/0", "row/big/0", "row/taught/0", "supernet/S", "search/6M", "row/found/3"),
        *("row/random 1/0", "row/random 2/0", "row/long/0", "row/se/0"),
        *("row/base/7", "row/found/4", "row/long/7", "row/found/5", "supernet/spare", "ranking/R", "latency"),
    ]
    needs = {step.name: step.needs for step in steps}
    assert needs["row/taught/0"] == ("row/big/0",) and needs["search/6M"] == ("supernet/S",)
    assert needs["row/random 2/0"] == needs["row/found/5"] == ("search/6M",)
    assert needs["row/base/7"] == () and needs["ranking/R"] == ("supernet/S",)
    met: set[str] = set()
    for step in steps:
        assert met.issuperset(step.needs)
        met.add(step.name)


def test_a_search_that_learns_waits_for_the_trainings(make, tmp_path):
    learning = {"name": "6M", "supernet": "S", "flops": "6M", "learn_from": "R"}
    path = make(searches=[learning])
    setup = Setup(load_plan(path), path, Places(tmp_path / "out"))
    steps = {step.name: step for step in plan_steps(setup.plan)}
    assert steps["search/6M"].needs == ("supernet/S", "ranking/R")
    assert list(steps).index("ranking/R") < list(steps).index("search/6M")
    ((*command,),) = step_commands(setup, steps["search/6M"])
    given = command[command.index("--learn-from") + 1]
    assert given.endswith("out/rankings/R")
    assert step_settings(setup, steps["search/6M"])["search"]["learn_from"] == ["ranking R"]
    with pytest.raises(UserError, match="search 6M: learn_from: the plan has no Q"):
        load_plan(make(searches=[{**learning, "learn_from": "Q"}]))


def test_levers_are_the_base_row_with_one_thing_otherwise(setup):
    rows = {row.name: row for row in planned_rows(setup.plan)}
    base, long, se = (rows[name].row for name in ("base", "long", "se"))
    assert (long.epochs, long.network, long.set, long.seeds) == (8, base.network, base.set, (0, 7))
    assert (se.change.se, se.epochs, se.seeds) == (True, None, (0,)) and rows["se"].lever and not rows["base"].lever


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["found"], ["supernet/S", "search/6M", "row/found/3", "row/found/4", "row/found/5"]),
        (["row/found/4"], ["supernet/S", "search/6M", "row/found/4"]),
        (["6M"], ["supernet/S", "search/6M"]),
        (["taught", "spare"], ["row/big/0", "row/taught/0", "supernet/spare"]),
        (["latency"], ["latency"]),
        (["se"], ["row/se/0"]),
        (["se (ladder)"], ["row/se/0"]),
        (["random"], ["supernet/S", "search/6M", "row/random 1/0", "row/random 2/0"]),
        (["random 2"], ["supernet/S", "search/6M", "row/random 2/0"]),
    ],
)
def test_only_some(setup, names, wanted):
    assert [step.name for step in select(plan_steps(setup.plan), names)] == wanted


def test_a_step_goes_before_a_row_that_is_called_alike(make, tmp_path):
    rows = [{"name": name, "network": "resnet18"} for name in ("latency", "supernet")]
    path = make(rows=rows, searches=[], rankings=[], ladder=None)
    steps = plan_steps(load_plan(path))
    for name, wanted in (
        ("latency", ["latency"]),
        ("row/latency", ["row/latency/0"]),
        ("supernet", ["supernet/S", "supernet/spare"]),
        ("row/supernet", ["row/supernet/0"]),
    ):
        assert [step.name for step in select(steps, [name])] == wanted


def test_unknown_names_are_answered_with_near_ones(setup):
    with pytest.raises(UserError, match="--only fuond: .*nearest: found"):
        select(plan_steps(setup.plan), ["fuond"])


def test_only_the_ladders_rows_have_the_tables_mark(setup):
    with pytest.raises(UserError, match="the plan has no such step"):
        select(plan_steps(setup.plan), ["base (ladder)"])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"rowes": []}, "unknown key 'rowes'; nearest: rows"),
        ({"rows": [{"name": "a", "network": "x", "sed": [0]}]}, "rows: a: unknown key 'sed'; nearest: seeds"),
        ({"rows": [{"name": "a"}]}, "give one of network, found and random"),
        ({"rows": [{"name": "a", "network": "x", "found": {"search": "6M"}}]}, "give one of network, found and random"),
        (
            {"rows": [*SMALL["rows"], {"name": "Base", "network": "x"}]},
            "rows: two are called base|two are called Base",
        ),
        ({"rows": [*SMALL["rows"], {"name": "x", "found": {"search": "7M"}}]}, "row x: search: the plan has no 7M"),
        ({"rows": [{"name": "base", "network": "x", "teacher": "none"}]}, "row base: teacher: the plan has no none"),
        ({"rows": [{"name": "base", "network": "x", "seeds": []}]}, "seeds"),
        ({"rows": [{"name": "base", "network": "x", "seeds": [1, 1]}]}, "rows: base: seeds: each may occur only once"),
        (
            {"ladder": {"row": "base", "levers": [{"name": "a", "epochs": 2, "seeds": [0, 1, 1]}]}},
            "ladder.levers: a: seeds: each may occur only once",
        ),
        ({"searches": [{"name": "6M", "supernet": "T", "flops": 1}]}, "6M: supernet: the plan has no T"),
        ({"ladder": {"row": "none", "levers": []}}, "ladder: row: the plan has no none"),
        ({"ladder": {"row": "random", "levers": []}}, "ladder: row random is several random archs"),
        ({"ladder": {"row": "base", "also": ["faund"]}}, "ladder: also: the plan has no faund; nearest: found"),
        ({"ladder": {"row": "base", "also": ["random"]}}, "ladder: also: the plan has no random; .*random 1"),
        ({"ladder": {"row": "base", "levers": [{"name": "x"}]}}, "lever x changes nothing"),
    ],
)
def test_refusals(make, other, message):
    with pytest.raises(UserError, match=message) as told:
        load_plan(make(**other))
    assert "\n" not in str(told.value) and "plan.yaml" in str(told.value)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"target": "onnx-cpu"}, "plan.yaml: latency target 'onnx-cpu' is unknown"),
        ({"published": "none.yaml"}, "plan.yaml: file .*none.yaml does not exist"),
        (
            {"rows": [{"name": "base", "network": "resnet18", "published": "x"}]},
            "rows: base: no published row is",
        ),
        (
            {"searches": [{"name": "6M", "supernet": "S", "flops": "many"}]},
            "search/6M: .*FLOPs 'many': give a positive",
        ),
        ({"rankings": [{"name": "R", "supernet": "S", "band": "wide"}]}, "ranking/R: FLOPs 'wide': give a positive"),
        ({"rows": [{"name": "base", "network": "resnet19"}]}, "row/base/0: no network is called 'resnet19'"),
        (
            {"rows": [{"name": "base", "network": "resnet18", "recipe": "bott"}]},
            "row/base/0: no recipe is called",
        ),
        (
            {"rows": [{"name": "base", "network": "resnet18", "change": {"se": True}}]},
            "row/base/0: change needs an arch, and .* is not one; leave it out",
        ),
        (
            {"rows": [{"name": "base", "random": {"network": "resnet18", "count": 1}}]},
            "row/base/0: random needs an arch to resemble",
        ),
        ({"rows": [{"name": "base", "network": "mobilenetv2", "change": {"kernel": 4}}]}, "row/base/0: .*kernel"),
        (
            {"rows": [{"name": "base", "network": "mobilenetv2", "change": {"kernel": 3, "se": False}}]},
            "row/base/0: change: mobilenetv2 already has these values",
        ),
        (
            {"searches": SMALL["searches"], "rows": [{"name": "base", "found": {"search": "6M", "number": 3}}]},
            "row/base/0: found: number 3: search 6M chooses 2 archs; raise search.top_k in its set",
        ),
    ],
)
def test_what_a_later_step_would_refuse_is_refused_first(make, tmp_path, other, message):
    if "rows" in other:
        other = {"searches": [], "ladder": None, **other}
    setup = Setup(load_plan(make(**other)), make(**other), Places(tmp_path / "out"))
    with pytest.raises(UserError, match=message):
        run_results(setup, Ask())
    assert not (tmp_path / "out").exists()


def test_sound_plans_pass_and_devices_are_looked_for(setup):
    check_plan(setup, plan_steps(setup.plan))
    for device in ("gpu", "cuda:99", "meta"):
        with pytest.raises(UserError, match=f"--device {device}: there is no such device on this machine"):
            check_plan(dataclasses.replace(setup, device=device), ())


def test_a_plan_of_nothing_is_refused(make):
    with pytest.raises(UserError, match="plan.yaml: the plan has neither supernets nor rows"):
        load_plan(make(**dict.fromkeys(("supernets", "searches", "rows", "rankings"), []), ladder=None))


def test_a_teacher_that_has_one_is_refused(make):
    rows = [{"name": name, "network": "resnet18", "teacher": other} for name, other in (("base", "b"), ("b", "base"))]
    with pytest.raises(UserError, match="its teacher b itself has a teacher"):
        load_plan(make(rows=rows, ladder=None))


def test_commands_are_what_a_user_would_type(setup, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    steps = {step.name: step for step in plan_steps(setup.plan)}
    train, flip = (command[1:] for command in step_commands(setup, steps["row/base/7"]))
    assert train[0].endswith("tools/retrain.py") and flip[0].endswith("tools/evaluate.py")
    options = dict(zip(train[1::2], train[2::2], strict=False))
    assert (options["--recipe"], options["--epochs"], options["--seed"]) == ("standard", "4", "7")
    assert options["--out"] == "out/rows/base-s7" and options["--arch"].endswith("archs/mobilenetv2.yaml")
    assert flip[1:3] == ["out/rows/base-s7", "--flip"] and flip[-2:] == ["--out", "out/flip/base-s7"]
    (search,) = step_commands(setup, steps["search/6M"])
    assert search[2:6] == ["--supernet", "out/supernets/S", "--flops", "6M"] and "--resume" not in search
    taught = step_commands(setup, steps["row/taught/0"])[0]
    assert "retrain.losses.distillation.teacher=out/rows/big-s0" in taught


def test_a_lever_of_other_batches_scales_the_rate(make, tmp_path):
    plan = make(ladder={"row": "base", "levers": [{"name": "wide", "batch": "32x4", "seeds": [0]}]})
    setup = Setup(load_plan(plan), plan, Places(tmp_path / "out"))
    steps = {step.name: step for step in plan_steps(setup.plan)}
    base, wide = (step_settings(setup, steps[f"row/{name}/0"])["recipe"] for name in ("base", "wide"))
    assert (wide["identities"], wide["instances"]) == (32, 4)
    images = base["identities"] * base["instances"]
    assert wide["optimizer"]["lr"] == pytest.approx(base["optimizer"]["lr"] * 128 / images)
    train = step_commands(setup, steps["row/wide/0"])[0]
    assert train[train.index("--batch") + 1] == "32x4"


def test_settings_name_the_teacher_and_not_its_folder(setup):
    steps = {step.name: step for step in plan_steps(setup.plan)}
    settings = step_settings(setup, steps["row/taught/0"])
    assert settings["recipe"]["losses"]["distillation"]["teacher"] == "row big"
    assert settings["recipe"]["epochs"] == 4 and settings["seed"] == 0
    assert step_settings(setup, steps["row/se/0"])["network"]["change"] == {"se": True}
    assert step_settings(setup, steps["row/long/0"])["recipe"]["epochs"] == 8


def test_a_changed_arch_is_written_and_another_one_of_its_name_refused(setup):
    steps = {step.name: step for step in plan_steps(setup.plan)}
    path = Path(network_name(setup, steps["row/se/0"]))
    named = load_arch(path)
    assert named.name == "se" and all(stage.se for stage in named.arch.stages)
    assert network_name(setup, steps["row/se/0"]) == str(path)
    path.write_text(path.read_text().replace("stem: 32", "stem: 16"))
    with pytest.raises(UserError, match="se.yaml is another network than se is in the plan now"):
        network_name(setup, steps["row/se/0"])


def test_changes_of_an_arch():
    arch = mobilenet_v2()
    whole = changed(arch, ArchChange(last_stride=1, ibn=True, act="h-swish", kernel=5))
    assert [stage.stride for stage in arch.stages] == [1, 2, 2, 2, 1, 2, 1]
    assert [stage.stride for stage in whole.stages] == [1, 2, 2, 2, 1, 1, 1]
    # Not in the first stage, which expands nothing, nor in the two at stride 32.
    assert [stage.ibn for stage in whole.stages] == [False, True, True, True, True, False, False]
    assert {stage.act for stage in whole.stages} == {"h-swish"} and not any(stage.se for stage in whole.stages)
    assert all(block.kernel == 5 for stage in whole.stages for block in stage.blocks)
    assert whole.stages[1].blocks[0] == Block(5, 6) and changed(arch, ArchChange()) == arch


def test_changes_of_an_arch_of_omni_scale_blocks():
    stages = (OmniStage(8, 2, (OmniBlock(8, 3, 3),)), OmniStage(8, 1, (OmniBlock(8, 3, 3),)))
    whole = changed(arch := Arch((64, 32), 8, stages, 0), ArchChange(last_stride=1, kernel=5))
    assert whole.stages == (OmniStage(8, 1, (OmniBlock(8, 3, 5),)),) * 2
    with pytest.raises(UserError, match="change: stage 1 is of omni-scale blocks, which have no act; leave it out"):
        changed(arch, ArchChange(act="relu6"))


def test_the_large_plan_is_sound(tmp_path):
    """Every override, recipe and network of it, before a GPU is kept waiting for it."""
    file = PLANS / "market1501.yaml"
    setup = Setup(load_plan(file), file, Places(tmp_path))
    steps = plan_steps(setup.plan)
    settings = {step.name: step_settings(setup, step) for step in steps}
    rows = [name for name in settings if name.startswith("row/")]
    assert len({str(settings[name]) for name in rows}) == len(rows), "two rows are the same training"
    assert settings["row/no erasing/0"]["recipe"]["augment"]["erase"] == 0
    published = {row.name for row in load_published(file.parent / setup.plan.published).rows}
    assert published.issuperset(row.published for row in setup.plan.rows if row.published)


@pytest.mark.parametrize("name", ["market1501-cpu", "rehearsal"])
def test_the_other_plans_are_read(name):
    plan = load_plan(PLANS / f"{name}.yaml")
    assert len(plan_steps(plan)) > len(plan.rows) and config_to_dict(plan)["rows"]


def test_a_plan_is_found_by_its_name(tmp_path):
    assert find_plan(Path("rehearsal")) == PLANS / "rehearsal.yaml" == find_plan(PLANS / "rehearsal.yaml")
    (tmp_path / "mine.yaml").write_text("")
    assert find_plan(tmp_path / "mine.yaml") == tmp_path / "mine.yaml"
    with pytest.raises(UserError, match="no plan is called 'rehersal'; nearest: rehearsal"):
        find_plan(Path("rehersal"))

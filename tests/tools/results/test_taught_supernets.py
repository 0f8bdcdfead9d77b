"""Supernets of a plan that learn from one of its rows."""

from __future__ import annotations

import pytest
import yaml

from reid.errors import UserError
from reid.files import write_text
from tools.jobs.results.checks import check_plan
from tools.jobs.results.commands import step_commands
from tools.jobs.results.plan.steps import plan_steps
from tools.jobs.results.settings import check_steps, keep_settings, step_settings
from tools.jobs.runs.provenance import sha256

TEACHER = "supernet.recipe.losses.distillation.teacher"
ALONE = "data.retrain_on_holdout=false"
BIG = {"name": "big", "network": "resnet18", "seeds": [3, 4], "set": [ALONE]}


@pytest.fixture
def make(make_setup):
    def plan(teacher: dict = BIG):
        supernets = [
            {"name": "S"},
            {"name": "T", "teacher": "big", "set": ["supernet.recipe.losses.distillation.similarity=5"]},
        ]
        return make_setup(
            supernets=supernets,
            searches=[{"name": "F", "supernet": "T", "flops": "6M"}],
            rows=[
                {"name": "found", "found": {"search": "F"}, "inherit": {"epochs": 1}},
                {"name": "small", "network": "mobilenetv2"},
                teacher,
            ],
            rankings=[{"name": "R", "supernet": "T", "n": 4}],
        )

    return plan


def test_the_teacher_is_trained_before_and_named(make):
    setup = make()
    steps = {step.name: step for step in plan_steps(setup.plan)}
    assert list(steps)[:4] == ["row/big/3", "supernet/T", "search/F", "row/found/0"]
    assert steps["supernet/T"].needs == ("row/big/3",) and steps["supernet/S"].needs == ()
    check_plan(setup, list(steps.values()))
    for name in ("supernet/T", "search/F", "ranking/R", "row/found/0"):
        (told,) = [each for each in setup.overrides(steps[name]) if each.startswith(TEACHER)]
        assert told.endswith("rows/big-s3")
    assert any(TEACHER in word for word in step_commands(setup, steps["supernet/T"])[0])
    for name in ("supernet/S", "row/small/0"):
        assert not any(TEACHER in each for each in setup.overrides(steps[name]))
    for name in ("supernet/T", "search/F", "ranking/R"):
        settings = step_settings(setup, steps[name])["supernet"]["recipe"]["losses"]["distillation"]
        assert (settings["teacher"], settings["similarity"]) == ("row big", 5)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ({**BIG, "name": "other"}, "supernet T: teacher: the plan has no big"),
        ({"name": "big", "found": {"search": "F"}}, "supernet T: its teacher big must be a row of a network given by"),
        (
            {**BIG, "teacher": "small"},
            "supernet T: its teacher big must be a row of a network given by name",
        ),
    ],
)
def test_who_cannot_teach(make, teacher, message):
    with pytest.raises(UserError, match=message):
        make(teacher)


def test_a_teacher_that_knows_the_held_out_persons_is_refused(make):
    setup = make({**BIG, "set": ["data.retrain_on_holdout=true"]})
    with pytest.raises(UserError, match="supernet/T: its teacher big is also trained on the held-out identities"):
        check_plan(setup, plan_steps(setup.plan))


def test_a_supernet_of_another_teachers_weights_is_refused(make, finish):
    setup = make()
    teacher = finish(setup, "row/big/3", 0.5)
    step = next(step for step in plan_steps(setup.plan) if step.name == "supernet/T")
    run = setup.places.run(step)
    keep_settings(setup, step)
    write_text(run / "supernet.safetensors", "weights")
    weights = setup.places.run(teacher) / "last.safetensors"
    write_text(run / "config.yaml", yaml.safe_dump({"teacher_sha256": sha256(weights)}))
    check_steps(setup, [step])
    write_text(run / "config.yaml", yaml.safe_dump({"teacher_sha256": "0"}))
    with pytest.raises(UserError, match="supernet/T: .* was taught by other weights than row big has now; remove it"):
        check_steps(setup, [step])

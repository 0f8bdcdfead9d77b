"""Rows on a supernet's weights: what is run, what they depend on, and what tables say of them."""

from __future__ import annotations

import pytest
import yaml

import tools.jobs.results.commands as commands
from reid.errors import UserError
from reid.files import write_text
from tools.jobs.results.plan.file import planned_rows
from tools.jobs.results.plan.steps import plan_steps
from tools.jobs.results.settings import check_steps, step_settings
from tools.jobs.results.written.effects import search_gains
from tools.jobs.results.written.figures import read_figures
from tools.jobs.results.written.publish import write_results
from tools.jobs.results.written.row_table import short_table
from tools.jobs.runs.provenance import sha256

FOUND = {"found": {"search": "F"}}
PLAN = {
    "recipe": "standard",
    "epochs": 9,
    "supernets": [{"name": "S", "set": ["space=tiny-plus", "input_size=[64, 32]"]}],
    "searches": [{"name": "F", "supernet": "S", "flops": "6M", "set": ["search.calibration_batches=2"]}],
    "rows": [
        {"name": "scratch", **FOUND},
        {"name": "inherited", **FOUND, "inherit": {"epochs": 3}, "set": ["input_size=[96, 48]"]},
        {
            "name": "rivals",
            "random": {"search": "F", "count": 2},
            "inherit": {"epochs": 3},
            "set": ["input_size=[96, 48]"],
        },
    ],
    "ladder": {"row": "inherited", "levers": [{"name": "longer", "epochs": 5}]},
}


@pytest.fixture
def setup(make_setup):
    return make_setup(**PLAN)


def _step(setup, name):
    return next(step for step in plan_steps(setup.plan) if step.name == name)


def test_they_are_trained_on_by_the_tool(setup, monkeypatch):
    monkeypatch.setattr(commands, "network_name", lambda setup, step: "arch.yaml")
    lines = {}
    for name in ("scratch", "inherited", "rivals 2", "longer"):
        train, _ = step_commands = commands.step_commands(setup, _step(setup, f"row/{name}/0"))
        assert len(step_commands) == 2
        lines[name] = train
    assert "--inherit" not in lines["scratch"] and "space=tiny-plus" not in lines["scratch"]
    for name, epochs in (("inherited", "3"), ("rivals 2", "3"), ("longer", "5")):
        line = lines[name]
        assert line[line.index("--inherit") + 1] == str(setup.places.out / "supernets" / "S")
        assert line[line.index("--epochs") + 1] == epochs
    # The supernet's space, the search's calibration, and the row's own, which has the last word.
    given = [lines["inherited"][place + 1] for place, word in enumerate(lines["inherited"]) if word == "--set"]
    assert given[:3] == ["space=tiny-plus", "input_size=[64, 32]", "search.calibration_batches=2"]
    assert given[-1] == "input_size=[96, 48]"


def test_their_settings_name_the_supernet(setup):
    scratch, inherited = (step_settings(setup, _step(setup, f"row/{name}/0")) for name in ("scratch", "inherited"))
    assert inherited["inherit"] == "supernet S" and inherited["recipe"]["epochs"] == 3
    assert "inherit" not in scratch and scratch["recipe"]["epochs"] == 9
    assert _step(setup, "row/inherited/0").needs == ("search/F",)
    longer = next(row.row for row in planned_rows(setup.plan) if row.name == "longer")
    assert (longer.epochs, longer.inherit.epochs) == (None, 5)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"network": "mobilenetv2"}, "rows: x: inherit is for archs of a search, whose supernet has weights for them"),
        ({"random": {"network": "mobilenetv2"}}, "rows: x: inherit is for archs of a search"),
        (
            {**FOUND, "epochs": 4},
            "rows: x: inherit.epochs and epochs both set the length of the training; leave epochs out",
        ),
        (
            {**FOUND, "change": {"se": True}},
            "row x: a supernet has no weights for what change adds; leave out change or inher",
        ),
        ({**FOUND, "inherit": {"epochs": 0}}, "rows: x: inherit.epochs: input should be greater than or equal to 1"),
    ],
)
def test_refusals(make_setup, row, message):
    with pytest.raises(UserError, match=message) as told:
        make_setup(**{**PLAN, "rows": [{"name": "x", "inherit": {"epochs": 3}, **row}], "ladder": None})
    assert "\n" not in str(told.value) and "made-up.yaml: " in str(told.value)


def test_a_lever_that_a_supernet_has_no_weights_for_is_refused(make_setup):
    levers = [{"name": "stride", "change": {"last_stride": 1}}]
    with pytest.raises(UserError, match="row stride: a supernet has no weights for what change adds"):
        make_setup(**{**PLAN, "ladder": {"row": "inherited", "levers": levers}})


def test_tables_say_what_they_start_from(setup, finish):
    words = "inherited weights (S), then 3 epochs of made up: 5 identities"
    finish(setup, "row/scratch/0", 0.4)
    page = write_results(setup, read_figures(setup)).read_text()
    assert "starts from" not in page and "starts from" not in short_table(read_figures(setup))
    finish(setup, "row/inherited/0", 0.5, train_set=words)
    for number, mAP in ((1, 0.44), (2, 0.46)):
        finish(setup, f"row/rivals {number}/0", mAP, train_set=words)
    rows = read_figures(setup)
    page = write_results(setup, rows).read_text()
    assert "| row | recipe | starts from | epochs |" in page and "| --- | --- | --- | ---: |" in page
    assert "| scratch | standard | scratch | 3 | 0 | 40.0 |" in page
    assert "| inherited | standard | supernet S | 3 | 0 | 50.0 |" in page
    assert "- rows that start from a supernet also had its training, which their epochs do not include" in page
    assert f"- inherited, rivals 1, rivals 2: trained on {words}" in page
    lines = [line.split() for line in short_table(rows).splitlines()]
    assert lines[1][:4] == ["scratch", "standard", "scratch", "3"]
    assert lines[2][:5] == ["inherited", "standard", "supernet", "S", "3"]
    # A gain is told among rows that start alike, and of no others.
    (gain,) = search_gains(setup, rows)
    assert gain.first == "inherited (standard)" and gain.mAP.value == pytest.approx(0.05)


def test_a_row_of_another_supernets_weights_is_refused(setup, finish):
    step = finish(setup, "row/inherited/0", 0.5)
    write_text(setup.places.run(step) / "config.yaml", yaml.safe_dump({"supernet_sha256": "0"}))
    check_steps(setup, [step])
    write_text(setup.places.out / "supernets" / "S" / "supernet.safetensors", "others")
    with pytest.raises(
        UserError, match=r"row/inherited/0: .* started with other weights than supernet S has now; remove"
    ):
        check_steps(setup, [step])


def test_a_row_that_was_calibrated_otherwise_is_refused(make_setup, setup, finish):
    """Its first weights are the supernet's with BN measured on what the search's settings say."""
    step = finish(setup, "row/inherited/0", 0.5)
    write_text(setup.places.run(step) / "config.yaml", "{}")
    record = setup.places.record(step) / "settings.yaml"
    kept = yaml.safe_load(record.read_text())
    search = {**PLAN["searches"][0], "set": ["search.calibration_batches=3"]}
    setup = make_setup(**{**PLAN, "searches": [search]})
    step = _step(setup, step.name)
    with pytest.raises(UserError, match=r"row/inherited/0 was run with other settings \(.*calibration_batches"):
        check_steps(setup, [step])
    write_text(record, yaml.safe_dump({key: value for key, value in kept.items() if key != "calibration"}))
    check_steps(setup, [step])  # an earlier version's, which does not say


def test_a_row_of_another_teachers_weights_is_refused(make_setup, finish):
    distil = ["retrain.losses.distillation.similarity=1"]
    rows = [
        {"name": "big", "network": "resnet18"},
        {"name": "taught", "network": "mobilenetv2", "teacher": "big", "set": distil},
    ]
    setup = make_setup(**{**PLAN, "rows": rows, "ladder": None})
    steps = [finish(setup, f"row/{name}/0", 0.5) for name in ("big", "taught")]
    weights = setup.places.run(steps[0]) / "last.safetensors"
    config = setup.places.run(steps[1]) / "config.yaml"
    write_text(config, yaml.safe_dump({"seed": 0}))
    check_steps(setup, steps)  # it does not say
    write_text(config, yaml.safe_dump({"teacher_sha256": sha256(weights)}))
    check_steps(setup, steps)
    write_text(config, yaml.safe_dump({"teacher_sha256": "0"}))
    with pytest.raises(UserError, match="row/taught/0: .* was taught by other weights than row big has now; remove it"):
        check_steps(setup, steps)

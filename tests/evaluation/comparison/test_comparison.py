from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.comparison.printed import comparison_table, markdown_table
from evaluation.comparison.row import ResultRow, read_result, write_result
from evaluation.comparison.table import compare
from reid.errors import UserError
from tests.evaluation.rows import FOUND

SEARCHED = replace(
    FOUND,
    mAP=0.6123,
    flops=204_311_040,
    parameters=2_223_872,
    latency_ms=3.14159,
    epochs=60,
    seed=1,
    input_size=(256, 128),
    train_set="pedestrians (200 identities)",
    recipe="standard",
)
BASELINE = replace(
    SEARCHED,
    name="ResNet-18",
    kind="baseline",
    mAP=0.7,
    flops=1_000_000_000,
    parameters=11_000_000,
    latency_ms=None,
)

ROWS = st.builds(
    ResultRow,
    name=st.text(min_size=1),
    kind=st.sampled_from(("searched", "baseline")),
    mAP=st.floats(0, 1),
    rank1=st.floats(0, 1),
    flops=st.integers(0, 10**12),
    parameters=st.integers(0, 10**10),
    latency_ms=st.none() | st.floats(0, 1e4),
    epochs=st.integers(0, 1000),
    seed=st.integers(),
    input_size=st.tuples(st.integers(1, 512), st.integers(1, 512)),
    train_set=st.text(),
    run=st.text(),
    test_set=st.text(),
    notes=st.lists(st.text(), max_size=3).map(tuple),
)


@settings(deadline=None, max_examples=25)
@given(ROWS)
def test_a_result_reads_back_equal(tmp_path_factory, row):
    run = tmp_path_factory.mktemp("run")
    assert write_result(run, row) == run / "result.json"
    assert read_result(run) == row
    assert [file.name for file in run.iterdir()] == ["result.json"]  # no temporary file is left


def test_result_file_holds_exactly_the_row(tmp_path):
    data = json.loads(write_result(tmp_path, SEARCHED).read_text())
    assert set(data) == set(ResultRow.__dataclass_fields__)
    assert (data["mAP"], data["input_size"], data["notes"]) == (0.6123, [256, 128], [])


@pytest.mark.parametrize(
    "text, message",
    [
        (None, "has no result.json"),
        ("{", "is not valid JSON"),
        ("[]", "is not a mapping of keys to values; remove it and give the command that made the run again"),
        ('{"name": "x"}', "kind"),
    ],
)
def test_a_folder_without_a_usable_result_is_named(tmp_path, text, message):
    if text is not None:
        (tmp_path / "result.json").write_text(text)
    with pytest.raises(UserError, match=message) as error:
        read_result(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_an_evaluation_of_an_onnx_file_is_no_unfinished_run(tmp_path):
    """Unlike a training, whose configuration is there, that lost its result."""
    (tmp_path / "score.json").write_text("{}")
    with pytest.raises(UserError, match="scores but no result.json: it is an evaluation of an .onnx or feature file"):
        read_result(tmp_path)
    (tmp_path / "config.yaml").write_text("seed: 0\n")
    with pytest.raises(UserError, match="has no result.json; let the run finish"):
        read_result(tmp_path)


def test_a_missing_folder_and_wrong_values_are_named(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_result(tmp_path / "nowhere")
    data = json.loads(write_result(tmp_path, SEARCHED).read_text())
    for change, message in (
        ({"mAP": 61.2}, "mAP"),
        ({"rank_1": 0.5}, "unknown key 'rank_1'; nearest: rank1"),
    ):
        (tmp_path / "result.json").write_text(json.dumps(data | change))
        with pytest.raises(UserError, match=message):
            read_result(tmp_path)


def test_the_terminal_table():
    assert comparison_table([SEARCHED, BASELINE]).splitlines() == [
        "Name       Recipe    Epochs  Seeds  mAP (step) %   Rank-1 %  FLOPs (M)   Params (M)   ms/image",
        "---------  --------  ------  -----  -------------  --------  ----------  -----------  --------",
        "found      standard      60      1          61.2       80.0      204.3*        2.22*      3.14",
        "ResNet-18  standard      60      1          70.0*      80.0     1000.0        11.00          -",
    ]


def test_the_markdown_table():
    assert markdown_table([BASELINE, replace(SEARCHED, name="a|b", notes=("measured once",))]).splitlines() == [
        "| Name | Recipe | Epochs | Seeds | mAP (step) % | Rank-1 % | FLOPs (M) | Params (M) | ms/image |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| ResNet-18 | standard | 60 | 1 | **70.0** | 80.0 | 1000.0 | 11.00 | - |",
        "| a\\|b | standard | 60 | 1 | 61.2 | 80.0 | **204.3** | **2.22** | 3.14 |",
        "",
        "- a|b: measured once",
    ]


@pytest.mark.parametrize(
    "change, said",
    [
        ({"train_set": "all of it"}, "trained on all of it at 256x128"),
        ({"input_size": (128, 64)}, "trained on pedestrians (200 identities) at 128x64"),
        ({"test_set": "another"}, "at 256x128, tested on another"),
    ],
)
def test_rows_that_cannot_be_compared_are_said_to_be_so(change, said):
    rows = [SEARCHED, replace(SEARCHED, name="twin", mAP=0.5), replace(BASELINE, **change)]
    table = compare(rows)
    assert table.best == {(0, 4)}  # of found and twin; the higher mAP of the third row is of another kind
    assert table.notes[0] == (
        "These rows cannot all be compared; compare only within a group; the best of each group is marked:"
    )
    assert table.notes[1] == "  found, twin: trained on pedestrians (200 identities) at 256x128"
    assert table.notes[2].startswith("  ResNet-18:") and said in table.notes[2]
    assert said in markdown_table(rows) and "| found | standard | 60 | 1 | **61.2** | 80.0 |" in markdown_table(rows)
    assert said in comparison_table(rows) and comparison_table(rows).count("*") == 1


def test_each_row_of_a_kind_of_its_own_has_no_mark():
    table = compare([SEARCHED, replace(SEARCHED, name="elsewhere", mAP=0.5, test_set="another")])
    assert not table.best
    assert table.notes[0] == "These rows cannot all be compared; compare only within a group:"


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            lambda row, data, test, size: replace(row, train_set=data, test_set=test, input_size=size),
            ROWS,
            st.sampled_from("ab"),
            st.sampled_from("cd"),
            st.sampled_from([(2, 1), (4, 2)]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_marks_are_those_of_each_group_by_itself(rows):
    """Oracle: the table of the comparable rows alone."""
    expected = set()
    for row in rows:
        members = [i for i, other in enumerate(rows) if compare_key(other) == compare_key(row)]
        alone = compare([rows[index] for index in members])
        expected |= {(members[index], column) for index, column in alone.best}
    assert compare(rows).best == expected


def test_the_only_value_of_a_column_is_no_best():
    slow = replace(BASELINE, latency_ms=7.0)
    assert 8 not in {place for _, place in compare([SEARCHED, BASELINE]).best}
    assert {each for each in compare([BASELINE, SEARCHED, slow]).best if each[1] == 8} == {(1, 8)}


def compare_key(row: ResultRow):
    return row.train_set, row.test_set, row.input_size


def test_a_mean_over_seeds_shows_its_spread():
    row = replace(SEARCHED, mAP_spread=0.0123, rank1_spread=0.0, seeds=(0, 1, 2))
    table = compare([row])
    assert table.cells[0][3:6] == ("0, 1, 2", "61.2 ± 1.2", "80.0 ± 0.0")
    assert table.notes == ("found: mean ± standard deviation over 3 seeds",)
    # A spread is no part of the value: the means print the same, so no Rank-1 is the best.
    assert {place for _, place in compare([row, replace(SEARCHED, mAP=0.5)]).best} == {4}


def test_recipe_epochs_and_seeds_do_not_bar_a_comparison():
    table = compare([SEARCHED, replace(BASELINE, recipe="mlr", epochs=90, seed=7)])
    assert table.notes == () and table.words == 2
    assert [cells[1:4] for cells in table.cells] == [("standard", "60", "1"), ("mlr", "90", "7")]


def test_what_was_not_trained_has_neither_recipe_nor_epochs():
    table = compare([replace(SEARCHED, recipe="", epochs=0)])
    assert table.cells[0][1:4] == ("-", "-", "1")


@settings(deadline=None)
@given(
    st.lists(
        ROWS.map(lambda row: replace(row, train_set="", test_set="", input_size=(2, 1))),
        min_size=2,
        max_size=5,
    )
)
def test_marked_cells_are_the_best(rows):
    """Oracle: from the numbers, with the text only deciding which values look the same."""
    table = compare(rows)
    for place, value, sign in (
        (4, "mAP", 1),
        (5, "rank1", 1),
        (6, "flops", -1),
        (7, "parameters", -1),
        (8, "latency_ms", -1),
    ):
        known = [getattr(row, value) for row in rows if getattr(row, value) is not None]
        marked = {index for index, column in table.best if column == place}
        if marked:
            best = max(known, key=lambda number: sign * number)
            assert best in {getattr(rows[index], value) for index in marked}
            assert len({table.cells[index][place] for index in marked}) == 1
        else:
            assert len({row[place] for row in table.cells if row[place] != "-"}) < 2 or len(known) < 2

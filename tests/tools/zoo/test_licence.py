from dataclasses import replace

import pytest

from evaluation.comparison.row import write_result
from tests.evaluation.rows import FOUND
from tools.jobs.zoo.licence import LICENCES, licence_of

MARKET = "market1501: 751 identities, 9 images"
SYNTHETIC = "synthetic: 72 identities, 9 images"


@pytest.mark.parametrize(
    ("train_set", "licence"),
    [
        (SYNTHETIC, "no restriction by its data"),
        (MARKET, "research only"),
        (f"{SYNTHETIC}, taught by runs/gone", "not told here"),
        (f"ImageNet weights, then {SYNTHETIC}", "not told here"),
        ("synthetic + msmt17: 72 identities, 9 images", "not told here"),
        (f"Small-A weights, then {MARKET}", "research only"),
        (f"Small-A weights, then {SYNTHETIC}", "not told here"),
        (f"Small-B weights, then {MARKET}", "not told here"),
        (f"{MARKET}, taught by Small-A", "research only"),
        (f"{SYNTHETIC}, taught by Small-A", "not told here"),
        (f"Small-B weights, then {MARKET}, taught by Small-A", "not told here"),
    ],
)
def test_a_licence_is_told_where_all_that_a_network_has_learnt_from_has_it(train_set, licence):
    assert licence_of(train_set, {"Small-A": LICENCES["market1501"]}).startswith(licence)


def test_a_teacher_that_is_a_run_is_asked_what_it_was_trained_on(tmp_path):
    def run(name, train_set):
        write_result(tmp_path / name, replace(FOUND, train_set=train_set))
        return tmp_path / name

    def told(*teachers):
        return licence_of(f"{MARKET}, taught by {' and '.join(map(str, teachers))}", {}) == LICENCES["market1501"]

    of_market, of_synthetic = run("market", MARKET), run("synthetic", SYNTHETIC)
    second, mixed = (
        run("second", f"{MARKET}, taught by {of_market}"),
        run("mixed", f"{MARKET}, taught by {of_synthetic}"),
    )
    assert told(of_market) and told(of_market, second)
    assert not told(of_synthetic) and not told(of_market, of_synthetic) and not told(mixed)
    assert not told(of_market, tmp_path / "gone")


def test_runs_that_name_each_other_as_teachers_end(tmp_path):
    for one, other in (("a", "b"), ("b", "a")):
        write_result(tmp_path / one, replace(FOUND, train_set=f"{MARKET}, taught by {tmp_path / other}"))
    assert licence_of(f"{MARKET}, taught by {tmp_path / 'a'}", {}).startswith("not told here")

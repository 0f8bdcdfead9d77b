"""What compared runs differ in: a table of keys, and the common rest."""

from __future__ import annotations

import yaml

from evaluation.report.configurations import configuration_section

ONE = {
    "seed": 0,
    "data": {"name": "a", "also_train": []},
    "recipe": {"source": "x", "epochs": 3, "optimizer": {"lr": 0.1}, "head": None},
    "network": {"name": "n", "last_stride": 1, "arch": {"stem": 8}},
    "weights": None,
}
OTHER = {
    "seed": 5,
    "data": {"name": "a", "also_train": []},
    "recipe": {"source": "y", "epochs": 3, "optimizer": {"lr": 0.2}, "head": {}},
    "network": {"name": "m", "arch": {"stem": 16}},
    "weights": "imagenet",
}


def test_differences_and_the_common_rest():
    section = configuration_section(["one", "other"], [ONE, OTHER])
    assert section.words.headers == ("Key", "one", "other")
    assert section.words.rows == (
        ("recipe.optimizer.lr", "0.1", "0.2"),
        ("recipe.head", "null", "{}"),
        ("network.last_stride", "1", "-"),
        ("weights", "null", "imagenet"),
    )
    assert yaml.safe_load(section.code) == {"data": ONE["data"], "recipe": {"epochs": 3}}
    assert section.fold == "What all of them have in common"


def test_runs_alike_one_run_and_runs_without_a_training():
    alike = configuration_section(["one", "two"], [ONE, {**ONE, "seed": 7}])
    assert alike.words is None and alike.paragraphs == ("All settings are the same except networks and seeds.",)
    alone = configuration_section(["one", "inherited"], [ONE, None])
    assert alone.words is None and alone.fold == "All settings"
    assert alone.paragraphs == ("Without a configuration of a training: inherited.",)
    assert configuration_section(["inherited"], [None]) is None

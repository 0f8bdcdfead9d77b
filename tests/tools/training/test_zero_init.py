"""``zero_init_residual`` in a recipe: what a training begins with, and what is said of it."""

from __future__ import annotations

import pytest
import torch

from reid.models.residuals import residual_scales
from supernet.trained.checkpoint import load_network, load_supernet

CPU = torch.device("cpu")
STILL = "{name: sgd, lr: 1.0e-12, weight_decay: 0}"
"""A rate at which weights stay, to see what they were at first."""


def begun_at_0(network: torch.nn.Module) -> list[bool]:
    return [bool(scale.abs().max() < 1e-3) for scale in residual_scales(network)]


@pytest.fixture
def residual_arch(tmp_path):
    path = tmp_path / "residual.yaml"
    path.write_text("name: rows\ninput_size: [64, 32]\nstem: 8\nlast_width: 32\nrows: [[1, 8, 2, 1], [3, 12, 2, 2]]\n")
    return path


def test_only_a_fresh_network_begins_at_0(train, residual_arch, tmp_path):
    still, zero = f"retrain.optimizer={STILL}", "retrain.zero_init_residual=true"

    def begun(name: str, *settings: object) -> tuple[list[bool], str]:
        done = train(tmp_path / name, still, *settings, network=residual_arch)
        assert done.code == 0, done.err
        return begun_at_0(load_network(tmp_path / name / "last.safetensors", CPU)[0]), done.out

    plain, said = begun("plain", "retrain.zero_init_residual=false")
    assert plain and not any(plain) and "residual branches" not in said
    fresh, said = begun("fresh", zero)
    assert fresh and all(fresh) and ", residual branches from 0" in said
    auto, said = begun("auto", "retrain.zero_init_residual=auto")
    assert auto == fresh and ", inverted residuals from 0" in said
    given, said = begun("given", zero, "--weights", tmp_path / "plain")
    assert not any(given) and "residual branches" not in said


def test_of_a_network_without_such_branches_it_is_said(train, tmp_path):
    rows = tmp_path / "rows.yaml"
    rows.write_text("name: rows\ninput_size: [64, 32]\nstem: 8\nlast_width: 32\nrows: [[3, 12, 1, 2]]\n")
    done = train(tmp_path / "run", "retrain.zero_init_residual=true", network=rows)
    assert (
        done.code == 0
        and "note      zero_init_residual has no effect: no such residual branch of rows is known" in done.out
    )


def test_auto_says_nothing_of_other_networks(train, tmp_path):
    done = train(tmp_path / "run", "retrain.zero_init_residual=auto", network="osnet_x0_25")
    assert done.code == 0 and "note      zero_init_residual" not in done.out
    assert not any(begun_at_0(load_network(tmp_path / "run" / "last.safetensors", CPU)[0]))


def test_a_supernet_begins_at_0(call, tmp_path):
    still, out = f"supernet.recipe.optimizer={STILL}", tmp_path / "run"
    for name, wanted in (("true", True), ("auto", True), ("false", False)):
        zero = f"supernet.recipe.zero_init_residual={name}"
        done = call("train_supernet", "--out", out / name, "--set", still, "--set", zero)
        assert done.code == 0, done.err
        found = begun_at_0(load_supernet(out / name / "supernet.safetensors", CPU))
        assert found and set(found) == {wanted}

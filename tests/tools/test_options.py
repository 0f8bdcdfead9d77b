"""Options that contradict each other, or that name nothing: refused at the start, in one line that names them."""

from __future__ import annotations

import pytest

from supernet.files import NamedArch, load_space, save_arch
from supernet.space.genome import smallest
from tools.jobs.evaluate.checkpoints import arch_of

PLAN = ("--plan", "configs/results/rehearsal.yaml")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--status", "--publish", "there"), "--status and --publish: each excludes the other; give one of the two"),
        (("--status", "--step", "latency"), "--status and --step: "),
        (("--publish", "there", "--step", "latency"), "--publish and --step: "),
        (("--jobs", 0), "error: --jobs 0: must be at least 1$"),
        (("--minutes", 0), "error: --minutes 0: must be above 0$"),
    ],
)
def test_results(call, tmp_path, refused, options, message):
    refused(call("results", *PLAN, "--out", tmp_path / "out", *options, tiny=False), message)
    assert not (tmp_path / "out").exists()


def test_results_of_a_plan_that_is_not_there(call, refused):
    refused(call("results", "--plan", "nope.yaml", tiny=False), "--plan nope.yaml: there is no such file; name one, or")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("evaluate", ("x.safetensors",)),
        ("average", ("x", "y")),
        ("export", ("x",)),
        ("visualize", ("x",)),
        ("cross_domain", ("x", "--datasets", "market1501")),
        ("latency", ("--target", "torch-cpu-1t")),
        ("results", PLAN),
    ],
)
def test_of_several_processes_none_begins_what_one_has_to_do(call, tmp_path, refused, monkeypatch, tool, arguments):
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    done = call(tool, *arguments, "--out", tmp_path / "out", tiny=tool not in ("latency", "results"))
    refused(done, "several processes, but this tool runs in one; start it without torchrun$")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("what", [("--write", 1), ("--explain",)], ids=["write", "explain"])
@pytest.mark.parametrize(
    "option",
    [("--flops", "5M"), ("--trials", 3), ("--strategy", "evolution"), ("--supernet", "runs/x"), ("--learn-from", "x")],
    ids=lambda option: option[0],
)
def test_search(call, tmp_path, refused, what, option):
    done = call("search", "--out", tmp_path, *option, *what)
    refused(done, f"{option[0]} is for a new search, but {what[0]} starts none; leave one of the two out")


@pytest.mark.parametrize("arguments", [(), ("NAME",)])
def test_zoo_in_a_folder_that_is_none(call, tmp_path, refused, arguments):
    refused(
        call("zoo", *arguments, "--folder", tmp_path / "nope", tiny=False), "--folder .*nope: there is no such folder"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "retrain.epochs=many"), "^error: --set retrain.epochs=many: retrain.epochs: input should be a"),
        (("--set", "searh.trials=3"), "^error: --set searh.trials=3: unknown key 'searh'; nearest: search"),
        (("--set", "retrain.epochs=3", "--set", "data=5"), "^error: --set data=5: .*given: 5"),
        (("--set", "a=2026-13-45"), "--set a=2026-13-45: the value is not valid YAML"),
        (("--set", "input_size=[99999,99999]"), "^error: --set input_size=.*2048"),
        (("--set", "retrain.head.parts={stripes:4}"), "YAML needs a space after a colon: stripes: 4"),
        (("--set", "retrain.schedule.planned=1" + "0" * 400), "retrain.schedule.planned: input should be less than"),
        (("--set", "retrain.losses.center.rate=1.0e+300"), "retrain.losses.center.rate: input should be less than"),
        (("--weights", ""), "^error: --weights '': the value is empty; give one, or leave it out$"),
        (("--epo", 3), "^error: --epo: no such option; nearest: --epochs; see --help$"),
        (("--sed=3",), "^error: --sed: no such option; nearest: --seed, --set; see --help$"),
        (("--epochs", "many"), "^error: --epochs 'many': must be a whole number$"),
        (("--weights=",), "^error: --weights '': the value"),
        (("--epochs", 10**20), "^error: --epochs 1.*0: must be from 1 to"),
        (("--batch", f"{10**20}x4"), "^error: --batch 1.*0x4: give the number of identities and of images"),
        (("--arch", "two\nlines"), r"^error: no network is called 'two\\nlines'"),
        (("--arch", "nope.yaml"), "arch file nope.yaml does not exist"),
        (("--recipe", "nope.yaml"), "--recipe nope.yaml: there is no such file"),
        (
            ("--set", "retrain.identities=999"),
            "p=999 identities cannot be drawn from 20 identities; lower the recipe's identities, the P of PxK, or "
            "train on more$",
        ),
    ],
)
def test_retrain(call, tmp_path, refused, options, message):
    refused(call("retrain", "--arch", "osnet_x0_25", "--out", tmp_path / "out", *options), message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("tool", ["gain", "rank"])
def test_trainings_in_a_file(call, tmp_path, refused, tool):
    done = call(tool, "--alone", __file__, "--out", tmp_path / "out")
    refused(done, f"^error: --alone {__file__}: is a file; name a folder$")
    assert not (tmp_path / "out").exists()


def test_links_that_lead_nowhere(call, tmp_path, refused):
    loop, gone = tmp_path / "loop", tmp_path / "gone"
    loop.symlink_to(loop)
    gone.symlink_to(tmp_path / "unmounted")
    retrain = ("retrain", "--arch", "osnet_x0_25")
    refused(call(*retrain, "--out", gone), f"^error: --out {gone}: is a link that leads nowhere; name a folder")
    refused(call(*retrain, "--out", gone / "x"), f"^error: --out .*x: {gone} is a link that leads nowhere")
    refused(call(*retrain, "--config", loop, tiny=False), f"^error: file {loop} cannot be read: ")
    refused(call("rank", "--supernet", loop, "--out", tmp_path / "out"), "no trained supernet at .*loop")


@pytest.mark.parametrize("source", ["", "supernet.safetensors"])
def test_a_supernet_in_the_place_of_a_network(call, tmp_path, supernet_run, refused, source):
    """The cure is one that the tool at hand has: ``--arch`` is of evaluate and visualize alone."""
    run, cut = (
        supernet_run / source,
        "it belongs to a supernet: give a folder that python tools/evaluate.py .* --arch NAME",
    )
    refused(call("describe", run, "--out", tmp_path / "out", tiny=False), cut)
    refused(call("embed", run, "docs/pictures", "--out", tmp_path / "x.npz", tiny=False), cut)
    matrix = call("cross_domain", run, "--datasets", "synthetic", "--out", tmp_path / "out")
    refused(matrix, cut)
    refused(call("evaluate", run, "--out", tmp_path / "out"), "--arch NAME$")
    train = ("retrain", "--arch", "osnet_x0_25", "--out", tmp_path / "out")
    refused(
        call(*train, "--weights", run), f"--weights {run}: belongs to a supernet; give --inherit {supernet_run} instead"
    )
    assert not (tmp_path / "out").exists()


def test_an_arch_of_another_space(call, tmp_path, supernet_run, refused):
    done = call("evaluate", supernet_run, "--arch", "mobilenetv2", "--out", tmp_path / "out")
    refused(done, "--arch mobilenetv2: the arch is not in space tiny: .*; name an arch of the space, or largest")


def test_an_arch_has_its_own_of_a_spaces_input_sizes(tmp_path):
    """It was scored at that; of a space with one size it is taken at that, whatever its FLOPs were counted at."""
    several, (small, large) = load_space("tiny-plus"), ((48, 24), (64, 32))
    file = save_arch(tmp_path / "a.yaml", NamedArch("a", smallest(several), {}))
    assert arch_of(several, str(file), tmp_path).input_size == small == smallest(several).input_size
    one = several.at(large)
    assert arch_of(one, str(file), tmp_path).input_size == large
    assert arch_of(several, "largest", tmp_path).input_size == large

"""A kit for another machine, on one whose times are known: what it holds, how it measures, what is made of that."""

from __future__ import annotations

import ast
import json
import shutil
import sys
import zipfile
from random import Random

import pytest

import search.latency.kit.measure as program
import search.latency.kit.write as writer
from reid.errors import UserError
from reid.models.network import count_parameters
from search.latency import Target, build_table, check_target, import_times, open_table, prediction_error
from search.latency.device import device_name
from search.latency.kit.times import read_times
from search.latency.parts import space_parts
from supernet.space import decode
from supernet.space.genome import sample

TARGET = Target("onnx", "cpu")


@pytest.fixture(scope="module")
def kit(space, costs, tmp_path_factory):
    """Its ``.onnx`` files hold no more than how many parameters there are."""
    folder = tmp_path_factory.mktemp("kit") / "kit"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "export_onnx", lambda network, shape, opset: str(count_parameters(network)).encode())
        patch.setattr(writer, "check_available", lambda target: None)
        made = writer.write_kit(space, TARGET, folder, networks=10, costs=costs, progress=False)
    return made


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"networks": 9}, "its choice of networks differs; name another folder"),
        ({"target": Target("onnx", "cpu", threads=2)}, r"target differs \(onnx-cpu-1t there, onnx-cpu-2t here"),
        ({"size": (32, 16)}, r"input_size differs \(\[16, 8\] there, \[32, 16\] here\);"),
    ],
)
def test_another_kit_is_not_written_over(space, kit, costs, changed, words):
    """The board may measure with it still."""
    before = {path: path.stat().st_mtime_ns for path in kit.folder.iterdir()}
    asked = {"target": TARGET, "networks": 10, "size": space.input_size} | changed
    space = space.at(asked["size"])
    with pytest.raises(UserError, match=f"kit contains another kit: {words}"):
        writer.write_kit(space, asked["target"], kit.folder, networks=asked["networks"], costs=costs, progress=False)
    assert {path: path.stat().st_mtime_ns for path in kit.folder.iterdir()} == before


def test_a_kit_whose_space_has_changed_is_another(space, kit, costs, tmp_path):
    folder = tmp_path / "kit"
    shutil.copytree(kit.folder, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["parts"][next(iter(manifest["parts"]))]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="contains another kit: its space's choice of parts differs; name"):
        writer.write_kit(space, TARGET, folder, networks=10, costs=costs, progress=False)
    (folder / "manifest.json").write_text("[]")
    with pytest.raises(UserError, match="name another folder, or remove this one"):
        writer.write_kit(space, TARGET, folder, networks=10, costs=costs, progress=False)


def test_the_same_kit_is_written_again(space, kit, costs, monkeypatch, tmp_path):
    folder = tmp_path / "kit"
    shutil.copytree(kit.folder, folder)
    (folder / "networks.zip").write_bytes(b"damaged")
    monkeypatch.setattr(writer, "export_onnx", lambda network, shape, opset: str(count_parameters(network)).encode())
    writer.write_kit(space, TARGET, folder, networks=10, costs=costs, progress=False)
    for file in kit.folder.iterdir():
        assert (folder / file.name).read_bytes() == file.read_bytes()


@pytest.fixture
def device(machine, monkeypatch):
    """``machine`` measures kits too."""

    def onnx_call(model, shape, threads):
        def call():
            if machine.calls_left == 0:
                raise KeyboardInterrupt
            machine.calls_left -= 1
            machine.now += (machine.call_ms + int(model) / 1000) / machine.speed / 1000

        return call

    def cpu_clock(threads):
        return machine.clock

    monkeypatch.setattr(program, "onnx_call", onnx_call)
    monkeypatch.setattr(program, "cpu_clock", cpu_clock)
    monkeypatch.setattr(program, "describe_machine", lambda: {"processor": "a board", "onnxruntime": "1.2"})
    return machine


def measured(kit, path, rounds=1, group=program.GROUP):
    return program.measure(kit.folder, path, rounds, 0.0, group)


def test_kit_is_small_and_networks_that_are_alike_share_a_file(space, kit):
    manifest = json.loads((kit.folder / "manifest.json").read_text())
    assert sorted(each.name for each in kit.folder.iterdir()) == ["manifest.json", "measure.py", "networks.zip"]
    assert kit.parts == len(space_parts(space)) == len(manifest["parts"]) - 1
    assert set(manifest["parts"].values()) | set(manifest["networks"].values()) == manifest["files"].keys()
    with zipfile.ZipFile(kit.folder / "networks.zip") as models:
        assert {f"{digest}.onnx" for digest in manifest["files"]} == set(models.namelist())
        assert kit.models == len({models.read(name) for name in models.namelist()}) < kit.parts
    assert kit.size == sum(each.stat().st_size for each in kit.folder.iterdir())


def test_imported_table_predicts_what_one_that_was_measured_here_does(space, kit, device, costs, tmp_path):
    measured(kit, tmp_path / "times.json")
    imported, times = import_times(tmp_path / "times.json", space, "Board", tmp_path)
    own = build_table(space, TARGET, tmp_path / "own", costs=costs, rounds=1, seconds=0, progress=False)
    prepared = device.prepared
    opened = open_table(space, "board", tmp_path)
    random = Random(0)
    for arch in (decode(space, sample(space, random)) for _ in range(50)):
        assert imported.latency(arch) == opened.latency(arch) == pytest.approx(own.latency(arch), rel=1e-4)
    assert opened.path == imported.path == tmp_path / "few-16x8-board.json"
    assert times.rounds == 1 and opened.device.words == "a board, onnxruntime 1.2" and opened.name == "board"
    error = prediction_error(opened, space, costs=costs)
    assert len(error.rows) == 10 and error.worst < 1e-4 and error.drift == 1
    assert device.prepared == prepared  # nothing was measured here


@pytest.mark.parametrize("calls", [0, 300, 700])
def test_interrupted_measurement_goes_on(kit, device, tmp_path, calls):
    whole = measured(kit, tmp_path / "whole.json", rounds=2)["times"]
    device.calls_left, path = calls, tmp_path / "times.json"
    with pytest.raises(KeyboardInterrupt):
        measured(kit, path, rounds=2, group=20)
    kept = json.loads(path.read_text())["times"] if calls else {}
    assert bool(kept) == bool(calls) and len(kept) < len(whole)
    if kept:
        with pytest.raises(UserError, match="not finished; run python3 measure.py again"):
            read_times(path)
    device.calls_left, device.speed = 10**9, 2.0  # what is measured from here on takes half the time
    after = measured(kit, path, rounds=2, group=20)
    assert after["finished"] and after["times"].keys() == whole.keys() and not list(tmp_path.glob(".*"))
    for name, (ms, rounds) in after["times"].items():
        known = kept.get(name, (0, 0))[1] == 2
        assert ms == pytest.approx(whole[name][0] / (1 if known else 2), abs=2e-6) and rounds == 2
    assert read_times(path).rounds == 2


def test_a_group_that_was_interrupted_before_its_seconds_were_over_is_not_finished(kit, device, tmp_path, monkeypatch):
    """However many rounds it had, and whether it was saved at the interrupt or, in time, before it."""
    whole, path = measured(kit, tmp_path / "whole.json", rounds=2)["times"], tmp_path / "times.json"
    monkeypatch.setattr(program, "SAVE_SECONDS", 0.0)
    device.calls_left = 20 * len(json.loads((kit.folder / "manifest.json").read_text())["files"])
    with pytest.raises(KeyboardInterrupt):
        program.measure(kit.folder, path, 2, 1e6, program.GROUP)
    assert {rounds for _, rounds in json.loads(path.read_text())["times"].values()} == {1}
    device.calls_left, device.speed = 10**9, 2.0  # what is measured from here on takes half the time
    after = measured(kit, path, rounds=2)["times"]
    assert after == {name: [pytest.approx(ms / 2, abs=2e-6), 2] for name, (ms, _) in whole.items()}


def test_times_that_could_not_be_written_are_told_before_anything_is_measured(
    kit, device, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(program, "__file__", str(kit.folder / "measure.py"))
    device.calls_left, out = 0, tmp_path / "none" / "times.json"
    assert program.main(["--out", str(out)]) == 2
    told = f"error: {out} cannot be written (No such file or directory); name another file with --out\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1"])
def test_seconds_that_never_end_are_refused(capsys, seconds):
    assert program.main([f"--seconds={seconds}"]) == 2
    assert capsys.readouterr().err == "error: --seconds: give a number of at least 0\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda data: [],
        lambda data: None,
        lambda data: {"kit": data["kit"]},
        lambda data: {**data, "machine": {}},
        lambda data: {**data, "machine": "a board"},
        lambda data: {**data, "times": []},
        lambda data: {**data, "times": {"a": 1.0}},
        lambda data: {**data, "times": {"a": [1.0, float("inf")]}},
        lambda data: {**data, "times": {"a": ["much", 1]}},
    ],
)
def test_times_of_another_form_are_one_line(kit, device, tmp_path, capsys, change, monkeypatch):
    path, manifest = tmp_path / "times.json", json.loads((kit.folder / "manifest.json").read_text())
    data = {"kit": manifest, "machine": program.describe_machine(), "times": {}}
    path.write_text(text := json.dumps(change(data)))
    monkeypatch.setattr(program, "__file__", str(kit.folder / "measure.py"))
    assert program.main(["--out", str(path)]) == 2
    assert capsys.readouterr().err == f"error: {path} is damaged; remove it\n" and path.read_text() == text


def test_times_of_something_else_are_not_gone_on_with(kit, device, tmp_path, monkeypatch):
    path = tmp_path / "times.json"
    done = measured(kit, path)
    monkeypatch.setattr(program, "describe_machine", lambda: {"processor": "a board", "onnxruntime": "1.3"})
    with pytest.raises(program.KitError, match=r"with another onnxruntime \(1.2\); move it away"):
        measured(kit, path)
    path.write_text(json.dumps({**done, "kit": {}}))
    with pytest.raises(program.KitError, match="of another kit; move it away"):
        measured(kit, path)
    path.write_text('{"form": 1')
    with pytest.raises(program.KitError, match="is damaged; remove it"):
        measured(kit, path)


def test_a_damaged_copy_is_noticed(kit, device, tmp_path):
    with zipfile.ZipFile(kit.folder / "networks.zip") as models, zipfile.ZipFile(tmp_path / "n.zip", "w") as damaged:
        for name in models.namelist():
            damaged.writestr(name, b"12")
    with zipfile.ZipFile(tmp_path / "n.zip") as models, pytest.raises(program.KitError, match="copy the kit again"):
        program.read_model(models, models.namelist()[0].partition(".")[0] + "0")
    for text in ("{}", '{"form": 0}'):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(
            program.KitError, match="is not a manifest of this program; copy all files of the kit again"
        ):
            program.measure(tmp_path, tmp_path / "times.json", 1, 1.0, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["times"].popitem(), "1 of .* networks have no time"),
        (lambda data: data["times"].update(strange=[1.0, 1]), "1 times of networks that are not in its kit"),
        (lambda data: data["times"].update({next(iter(data["times"])): [float("nan"), 1]}), "a time of nan ms"),
        (lambda data: data["times"].update({next(iter(data["times"])): [0.5, 0]}), "a time of 0.5 ms in 0 rounds"),
        (lambda data: data["times"].update({next(iter(data["times"])): [1.0, float("inf")]}), "1.0 ms in inf rounds"),
        (lambda data: data["machine"].pop("processor"), "no 'processor'"),
        (lambda data: data["kit"].pop("networks"), "no 'networks'"),
        (lambda data: data["kit"].update(checked=[]), "no whole networks"),
        (lambda data: data["kit"]["checked"].append("[]"), "whole network .* is not in its kit"),
        (lambda data: data["kit"].update(form=0), "another format; make a kit with this version"),
        (lambda data: data["kit"].update(space="more"), "the times of space more, not of few; give --space more"),
        (lambda data: data["kit"]["parts"].pop(list(data["kit"]["parts"])[5]), "1 of .* parts .*--space few --kit kit"),
        (lambda data: data.clear(), "does not contain the times of a kit"),
    ],
)
def test_times_that_do_not_fit_are_refused(space, kit, device, tmp_path, change, message):
    data = measured(kit, tmp_path / "times.json")
    change(data)
    (tmp_path / "times.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match=message):
        import_times(tmp_path / "times.json", space, "board", tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_a_target_without_a_table_says_how_to_get_one(space, kit, device, tmp_path):
    check_target(space, "onnx-cpu-1t", tmp_path)
    with pytest.raises(UserError, match="'boart' is unknown.*python tools/latency.py --space few --kit kit"):
        check_target(space, "boart", tmp_path)
    measured(kit, tmp_path / "times.json")
    table, _ = import_times(tmp_path / "times.json", space, "board", tmp_path)
    check_target(space, "Board", tmp_path)
    with pytest.raises(UserError, match="'boart' is unknown; nearest: board"):
        check_target(space, "boart", tmp_path)
    with pytest.raises(
        UserError, match="no latencies of space few at 32x16; make a kit: .* --space f.yaml --size 32x16 --kit kit"
    ):
        check_target(space.at((32, 16)), "board", tmp_path, "f.yaml")
    whole = json.loads(table.path.read_text())
    for damaged in (
        {"form": 1, "target": "board"},
        {**whole, "times": {"a": [1.0, float("inf")]}},
        {**whole, "fitted": ["{}"]},
    ):
        table.path.write_text(json.dumps(damaged))
        with pytest.raises(
            UserError, match=f"^latency table {table.path} cannot be used .*import the machine's times again"
        ):
            open_table(space, "board", tmp_path)


@pytest.mark.parametrize("name", ["onnx-cpu-1t", "onnx-pi", "TORCH-x", "a/b", "", "-a", "ü", 41 * "a"])
def test_names_that_cannot_be_a_machines_are_refused(name):
    with pytest.raises(UserError, match="is not a name for a(nother)? machine.*(use|give)"):
        device_name(name)


@pytest.mark.parametrize(
    ("target", "message"),
    [(Target("torch", "cpu"), "not as torch-cpu-1t"), (TARGET, "contains something else than a kit")],
)
def test_kits_that_cannot_be_are_refused(space, tmp_path, target, message, monkeypatch):
    monkeypatch.setattr(writer, "check_available", lambda target: None)
    (tmp_path / "mine.txt").write_text("text")
    with pytest.raises(UserError, match=message):
        writer.write_kit(space, target, tmp_path, progress=False)
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]


def test_program_stands_alone():
    """It runs where nothing of this repository is, by Python 3.8."""
    with open(program.__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read(), feature_version=(3, 8))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports}
    assert {"numpy", "onnxruntime"} == {each.partition(".")[0] for each in modules} - sys.stdlib_module_names

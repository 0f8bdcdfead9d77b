"""``reid-nas TOOL``: what it lists, what it refuses, and that a wheel installed elsewhere has all that tools need."""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tools import command

ROOT = Path(__file__).resolve().parents[2]
PACKED = ("reid", "supernet", "search", "evaluation", "configs", "weights", "tools")


def test_all_tools_are_listed_with_a_line_each(capsys):
    programs = {path.stem for path in (ROOT / "tools").glob("*.py") if "run_tool(" in path.read_text(encoding="utf-8")}
    programs.remove("cli")  # which has it
    assert set(command.tools()) == programs
    for arguments in ([], ["--help"]):
        command.main(arguments)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("usage: reid-nas TOOL") and len(lines) == 2 + len(programs)
        listed = dict(line.split(maxsplit=1) for line in lines[2:])
        assert set(listed) == programs
        assert listed["train_supernet"] == "Trains the weight-sharing supernet of a search space"


def test_the_version_that_is_installed(monkeypatch, capsys):
    monkeypatch.setattr(command, "version", {"reid-nas": "1.2.3"}.__getitem__)
    command.main(["--version"])
    assert capsys.readouterr().out == "reid-nas 1.2.3\n"


def test_a_reader_that_goes_away_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    say = "from tools.command import main; main(['--help'])"
    done = subprocess.run([sys.executable, "-c", say], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, timeout=200)
    os.close(writer)
    assert done.returncode == 128 + signal.SIGPIPE and done.stderr == b""


def test_a_tool_takes_the_place_of_the_process(monkeypatch):
    began = []
    monkeypatch.setattr(os, "execve", lambda program, arguments, environment: began.append(arguments))
    command.main(["search", "--flops", "210M"])
    command.main(["train-supernet"])  # as commands mostly spell it
    assert began[0] == [sys.executable, str(ROOT / "tools" / "search.py"), "--flops", "210M"]
    assert began[1][1:] == [str(ROOT / "tools" / "train_supernet.py")]


def test_a_tool_knows_how_it_was_called():
    say = "from tools.command import main; main(['zoo', 'x', 'RUN'])"
    done = subprocess.run([sys.executable, "-c", say], cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 2
    told = "to add a run, reid-nas zoo add RUN --name NAME; for an image, --image FILE"
    assert done.stderr == f"error: RUN: there is one argument too many; {told}\n"


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("serch", "nearest: search"),
        ("cli", ""),
        ("_root", ""),
        ("command", ""),
        ("size_option", ""),
        ("typed", ""),
        ("xyzzy", "there are"),
    ],
)
def test_a_tool_that_there_is_not(capsys, name, cure):
    with pytest.raises(SystemExit) as end:
        command.main([name])
    printed = capsys.readouterr()
    assert end.value.code == 2 and printed.out == ""
    assert printed.err.startswith(f"error: no tool is called '{name}'; ") and cure in printed.err
    assert printed.err.count("\n") == 1


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder of programs of an environment that a wheel of this checkout is installed in, and nothing else: what
    it depends on is taken from the environment of the tests."""
    pytest.importorskip("setuptools", "70.1")  # which needs no package ``wheel`` to build one
    folder = tmp_path_factory.mktemp("installed")
    tree = folder / "tree"
    for name in PACKED:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tree)
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), str(tree)]
    subprocess.run(build, check=True, capture_output=True, timeout=200)
    venv.create(folder / "env", system_site_packages=True)
    programs = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    (wheel,) = folder.glob("reid_nas-*.whl")
    install = [*pip, "--python", str(programs / "python"), "install", "--no-deps", "--no-index", "--force-reinstall"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True, timeout=200)
    asked = [str(programs / "python"), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    own = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    # Where the tests run in an environment of their own too, the system's packages are not theirs.
    (own / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
    shutil.rmtree(tree)
    return programs


def test_every_folder_of_files_that_tools_read_is_packed(monkeypatch):
    setuptools = pytest.importorskip("setuptools")
    given = {}
    monkeypatch.setattr(setuptools, "setup", lambda **what: given.update(what))
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    folders = {file.parent.relative_to(ROOT) for name in ("configs", "weights") for file in (ROOT / name).rglob("*.*")}
    assert {Path(*package.split(".")) for package in given["packages"]} >= folders
    assert Path("configs/results/published") in folders


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_installed_wheel_runs_its_tools(installed, tmp_path):
    def call(*words: str, program: str = "reid-nas") -> subprocess.CompletedProcess:
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "REID_DATA")}
        return subprocess.run(
            [str(installed / program), *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
        )

    listed = call()
    assert listed.returncode == 0 and "  search " in listed.stdout
    assert call("serch").returncode == 2
    zoo = call("zoo")
    assert zoo.returncode == 0 and "OSNet-x0.42-market1501" in zoo.stdout, zoo.stderr
    described = call("describe", "MLR-210M-C")
    assert described.returncode == 0 and "squeeze" not in described.stderr, described.stderr
    assert list(tmp_path.glob("runs/describe/*.png"))
    none = call("search", "--config", "configs/demo.yaml", "--flops", "6M", "--supernet", "nowhere")
    assert none.returncode == 2 and none.stderr.count("\n") == 1 and "nowhere" in none.stderr, none.stderr
    plan = call("results", "--plan", "nothing")
    assert plan.returncode == 2 and "market1501-short" in plan.stderr, plan.stderr
    plan = call("results", "--plan", "market1501-short", "--status")  # which needs the file of published rows too
    assert plan.returncode == 0 and "row/MobileNetV2/0" in plan.stdout, plan.stderr
    say = "import tools.jobs.data as d, tools.jobs.runs.provenance as p; print(d.ROOT, d.__file__, p.commit())"
    root, file, commit = call("-c", say, program="python").stdout.split()
    assert Path(root) == tmp_path and not Path(file).is_relative_to(ROOT) and commit == "unknown"

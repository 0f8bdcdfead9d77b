"""The command line tools inside this process, and a synthetic set small enough for tests."""

from __future__ import annotations

import functools
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from matplotlib.layout_engine import ConstrainedLayoutEngine

import tools.cli
import tools.jobs.compare
import tools.jobs.data
import tools.jobs.evaluate.result
from reid.config import load_config
from reid.engine.machine.device import seeded
from search.latency import measure_latency
from supernet.files import load_space
from supernet.supernet import Supernet
from supernet.trained.checkpoint import save_supernet
from tools.jobs.experiment import CONFIGS, Experiment
from tools.jobs.job import Job

ROOT = Path(__file__).resolve().parents[2]
TINY = (
    # Not the demo's own size and limit: those may change, and small images are quick.
    "input_size=[64, 32]",
    "data={holdout_identities: 6, retrain_on_holdout: true}",
    "data.synthetic={train_identities: 20, test_identities: 8, distractors: 4, junk: 2}",
    "data.synthetic={images_per_camera: 2, cameras: 3}",
    "supernet.recipe={epochs: 1, identities: 4, instances: 2, evaluate_every: 1, schedule: {warmup: 0}}",
    "supernet.sampling.archs=1",
    "search={flops: 6M, min_flops_fraction: 0}",
    "search={trials: 6, population: 4, sample_size: 2, calibration_batches: 1, calibration_batch_size: 16}",
    "retrain={epochs: 1, identities: 4, instances: 2, schedule: {warmup: 0}}",
)
OPTIONS = [argument for text in TINY for argument in ("--set", text)]


@pytest.fixture(scope="session")
def data_root(tmp_path_factory) -> Path:
    """What stands for the checkout's root where data are looked for and made."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module", autouse=True)
def data_below_the_tests_own_folder(data_root):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tools.jobs.data, "ROOT", data_root)
        patch.delenv("REID_DATA", raising=False)
        # The setting would stay with the test process.
        patch.setattr(tools.cli, "keep_freed_memory", lambda: False)
        # Each network that is scored is timed too; how well is tested elsewhere, and a time of few rounds is one.
        for job in (tools.jobs.compare, tools.jobs.evaluate.result):
            patch.setattr(job, "measure_latency", functools.partial(measure_latency, rounds=2))
        # To lay a picture out takes three times as long as to draw it; how they look is tested in tests/evaluation.
        patch.setattr(ConstrainedLayoutEngine, "execute", lambda self, figure: None)
        yield


@pytest.fixture(scope="session")
def small_arch(tmp_path_factory) -> Path:
    """File of an arch of five blocks, for what any network would do: a published one takes ten times as long."""
    path = tmp_path_factory.mktemp("archs") / "small.yaml"
    rows = "[[1, 8, 1, 1], [2, 16, 1, 2], [2, 24, 1, 2]]"
    path.write_text(f"name: small\ninput_size: [64, 32]\nstem: 8\nrows: {rows}\nlast_width: 32\n")
    return path


@pytest.fixture(scope="session")
def make_job() -> Callable[..., Job]:
    def make(out: Path, *overrides: str, resume: bool = False, seed: int = 0) -> Job:
        experiment = load_config(Experiment, CONFIGS / "demo.yaml", [*TINY, *overrides])
        return Job(experiment, None, out, resume, seed, torch.device("cpu"))

    return make


@pytest.fixture(scope="session")
def load_tool() -> Callable[[str], Callable]:
    """A tool's ``main``, loaded as Python loads a program: with ``tools/`` first on the import path."""

    def load(name: str) -> Callable:
        spec = importlib.util.spec_from_file_location(f"tool_{name}", ROOT / "tools" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        path = list(sys.path)
        sys.modules.pop("_root", None)
        sys.path.insert(0, str(ROOT / "tools"))
        try:
            spec.loader.exec_module(module)
        finally:
            sys.path[:] = path
        return module.main

    return load


@pytest.fixture
def call(load_tool, capsys):
    """Runs a tool with the tiny configuration; gives its exit code and what it printed."""

    def run(name: str, *arguments: object, tiny: bool = True) -> SimpleNamespace:
        config = ["--config", str(CONFIGS / "demo.yaml"), "--device", "cpu", *OPTIONS] if tiny else []
        capsys.readouterr()
        code = 0
        try:
            tools.cli.run_tool(load_tool(name), [*config, *map(str, arguments)])
        except SystemExit as end:
            code = end.code
        printed = capsys.readouterr()
        return SimpleNamespace(code=code, out=printed.out, err=printed.err)

    return run


@pytest.fixture(scope="session")
def refused() -> Callable[[SimpleNamespace, str], None]:
    """Checks that a tool ended as bad input ends it: code 2 and one error line, whatever progress bars came before."""

    def check(done: SimpleNamespace, message: str) -> None:
        lines = [line for line in done.err.replace("\r", "\n").splitlines() if line.strip()]
        assert done.code == 2 and lines[-1].startswith("error: "), done.err
        assert sum(line.startswith("error: ") for line in lines) == 1 and "Traceback" not in done.err
        assert re.search(message, lines[-1]), lines[-1]

    return check


@pytest.fixture(scope="session")
def supernet_run(tmp_path_factory) -> Path:
    """Folder of a supernet of the tiny space that was never trained."""
    run = tmp_path_factory.mktemp("supernet") / "run"
    with seeded(3):
        save_supernet(run / "supernet.safetensors", Supernet(load_space("tiny").at((64, 32))))
    return run

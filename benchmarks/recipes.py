"""Every recipe on one network, one data set and one budget: scores, images/s and peak memory, as a Markdown table.

    python benchmarks/recipes.py --arch osnet_x0_25 --epochs 14 --config configs/demo.yaml --set input_size=[96,48]

Each recipe is trained by tools/retrain.py in a separate process, its schedule scaled to the budget. A finished recipe
is not trained again, and an interrupted one continues; one that was trained there with other options ends the program
before anything is trained.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)
import torch
import yaml

from reid.config import config_to_dict
from reid.engine.runs.run_folder import CONFIG, first_difference, read_metrics
from reid.errors import UserError
from reid.options import Parser
from supernet.catalog import spec_to_dict
from tools.jobs.experiment import RECIPES, ROOT, load_experiment
from tools.jobs.job import Job
from tools.jobs.runs.saved_config import read_saved
from tools.jobs.training.wanted import Retraining, network_to_train

HEADERS = (
    "recipe",
    "mAP (step) %",
    "Rank-1 %",
    "held-out mAP (step) %",
    "epochs",
    "images/s",
    "peak memory (MiB)",
    "doctor",
)


def main(arguments: list[str] | None = None) -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--arch", default="osnet_x0_25", help="the network (default: osnet_x0_25)")
    parser.add_argument(
        "--config", type=Path, default=ROOT / "configs" / "demo.yaml", help="experiment (default: demo)"
    )
    parser.add_argument("--epochs", type=int, default=14, help="epochs for every recipe (default: 14)")
    parser.add_argument("--recipes", nargs="*", default=sorted(path.stem for path in RECIPES.glob("*.yaml")))
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help="as for tools/retrain.py")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=Path, default=Path("runs/recipes"), help="where the runs go (default: runs/recipes)"
    )
    read = parser.parse_args(arguments)
    for recipe in read.recipes:
        _check(read, recipe, read.out / recipe)
    rows = []
    for recipe in read.recipes:
        run = read.out / recipe
        if not (run / "result.json").exists():
            _train(read, recipe, run)
        rows.append(_row(recipe, run))
    print(_markdown(rows))


def _check(read: argparse.Namespace, recipe: str, run: Path) -> None:
    """Raises UserError if the existing run is not the requested one."""
    if not (run / CONFIG).exists():
        return
    experiment = load_experiment(read.config, read.set, recipe=recipe, epochs=read.epochs)
    job = Job(experiment, None, run, True, read.seed, torch.device("cpu"))
    spec, _ = network_to_train(job, Retraining(read.arch, Path("runs/search")))
    asked = {
        "seed": read.seed,
        "input_size": experiment.input_size,
        "data": config_to_dict(experiment.data),
        "recipe": config_to_dict(experiment.retrain),
        "network": spec_to_dict(spec),
    }
    saved = read_saved(run / CONFIG)
    # As YAML has it: tuples and lists are the same there.
    wrong = first_difference({name: saved.get(name) for name in asked}, yaml.safe_load(yaml.safe_dump(asked)))
    if wrong is not None:
        raise UserError(f"{run} was trained with other options ({wrong}); give another --out, or remove it")


def _train(read: argparse.Namespace, recipe: str, run: Path) -> None:
    command = [sys.executable, str(ROOT / "tools" / "retrain.py"), "--arch", read.arch, "--recipe", recipe]
    command += ["--config", str(read.config), "--epochs", str(read.epochs), "--seed", str(read.seed)]
    command += ["--out", str(run), *(["--resume"] if (run / "config.yaml").exists() else [])]
    command += [part for text in read.set for part in ("--set", text)]
    print(f"\n== {recipe} ==", flush=True)
    subprocess.run(command, check=True)


def _row(recipe: str, run: Path) -> tuple[str, ...]:
    result = json.loads((run / "result.json").read_text())
    records = read_metrics(run)
    held = [record["holdout_mAP"] for record in records if "holdout_mAP" in record]
    # The first epoch warms up the caches.
    speeds = sorted(record["images_per_second"] for record in records[1:] or records)
    troubles = [each["trouble"] for each in json.loads((run / "doctor.json").read_text())]
    return (
        recipe,
        f"{100 * result['mAP']:.1f}",
        f"{100 * result['rank1']:.1f}",
        f"{100 * held[-1]:.1f}" if held else "-",
        str(result["epochs"]),
        f"{speeds[len(speeds) // 2]:.0f}",
        f"{records[-1]['peak_memory_mib']:.0f}",
        ", ".join(troubles) or "-",
    )


def _markdown(rows: list[tuple[str, ...]]) -> str:
    lines = [HEADERS, ("---", *["---:"] * (len(HEADERS) - 2), "---"), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")

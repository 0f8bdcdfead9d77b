"""Trains a found arch, MobileNetV2 or another backbone, all with the same recipe and by default from scratch.

--arch takes the name of an arch file (looked up in the search's archs, then in configs/archs), the path of one, or a
backbone: resnet18, resnet50_ibn_a, osnet_x0_25, ... (docs/networks.md lists them). mobilenetv2 is an arch file too.

On several GPUs: torchrun --nproc_per_node 4 tools/retrain.py --arch ...
"""

from __future__ import annotations

import argparse
from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from evaluation.comparison.row import RESULT
from evaluation.report.history import training_folders
from reid.engine.machine.distributed import from_environment
from reid.engine.runs.run_folder import WEIGHTS
from reid.errors import UserError
from tools.cli import add_search, job_parser, read_job, run_tool
from tools.jobs.job import check_trained
from tools.jobs.runs.supernets import PREFIX
from tools.jobs.training.cool_down import CoolDown
from tools.jobs.training.ending import comparing_command, tell_training
from tools.jobs.training.repeats import retrain_repeatedly
from tools.jobs.training.retrain import retrain
from tools.jobs.training.wanted import Retraining
from tools.typed import to_type

OUT = "runs/retrain-<arch>"
COOL_DOWN_EPOCHS = 5


def _parser() -> argparse.ArgumentParser:
    parser = job_parser(__doc__, OUT)
    parser.add_argument(
        "--arch", required=True, metavar="NAME", help="network to train, for example MLR-210M-A or resnet18"
    )
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        help="name of a file under configs/recipes, or a path (default: the config's recipe)",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="number of epochs; the recipe's schedule is scaled to it (default: the recipe's own)",
    )
    parser.add_argument(
        "--batch",
        metavar="PxK",
        help="P identities times K images per step, for example 32x4; rates are scaled to it (default: the recipe's)",
    )
    parser.add_argument(
        "--weights",
        metavar="SOURCE",
        help="initial weights: imagenet, a local .safetensors or .pth file, a run folder, or a zoo network's name",
    )
    parser.add_argument(
        "--inherit",
        type=Path,
        metavar="FOLDER",
        help="start from the arch's weights in a supernet; FOLDER is a run of tools/train_supernet.py",
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=1,
        metavar="N",
        help="train N times, with N consecutive seeds starting at --seed (default: 1)",
    )
    parser.add_argument(
        "--compile", action="store_true", help="train with torch.compile; same as --set retrain.compile=true"
    )
    parser.add_argument(
        "--cool-down",
        type=Path,
        metavar="RUN",
        help="finish an interrupted training early: continue RUN while the rate falls to its end; repeat RUN's options",
    )
    parser.add_argument(
        "--cool-down-epochs",
        type=int,
        metavar="N",
        help=f"with --cool-down: number of epochs over which the rate falls (default: {COOL_DOWN_EPOCHS})",
    )
    add_search(parser)
    return parser


def main(arguments: list[str] | None = None) -> None:
    read = _parser().parse_args(arguments)
    read.set = [*read.set, *(["retrain.compile=true"] if read.compile else [])]
    check_trained("--repeats", read.repeats)
    if read.inherit and read.weights:
        raise UserError("--inherit and --weights both set the initial weights; give one of the two")
    if read.cool_down_epochs is not None and not read.cool_down:
        raise UserError("--cool-down-epochs needs --cool-down; give --cool-down RUN too")
    if read.cool_down_epochs is not None and read.cool_down_epochs < 1:
        raise UserError(f"--cool-down-epochs {read.cool_down_epochs}: must be at least 1")
    if read.cool_down and read.repeats > 1:
        raise UserError("--cool-down continues a single training; leave --repeats out")
    labels = [Path(read.recipe).stem] if read.recipe else []
    labels += ["inherited"] if read.inherit else []
    labels += ["cooled down"] if read.cool_down else []
    name = Path(read.arch).stem if read.arch.endswith((".yaml", ".yml")) else read.arch.replace(":", "-")
    job = read_job(read, "-".join([f"runs/retrain-{name}", *labels]).replace(" ", "-"))
    weights = f"{PREFIX}{read.inherit}" if read.inherit else read.weights
    cool_down = CoolDown(read.cool_down, read.cool_down_epochs or COOL_DOWN_EPOCHS) if read.cool_down else None
    what = Retraining(read.arch, read.search, weights, ", ".join(labels), cool_down)
    if read.repeats > 1:
        run = retrain_repeatedly(job, what, read.repeats)
        result, last = f"mean and spread: {run / RESULT}", training_folders(run)[-1]
    else:
        run = last = retrain(job, what)
        result = f"weights: {run / WEIGHTS}; result: {run / RESULT}"
    if not from_environment(job.device).is_main:
        return
    if (run / RESULT).exists():
        tell_training(run, result, comparing_command(run))
    else:  # the data set has no query and gallery
        tell_training(run, f"weights: {last / WEIGHTS}", to_type("evaluate", str(last), "--dataset", "NAME=FOLDER"))


if __name__ == "__main__":
    run_tool(main, less="give smaller batches (--batch 16x4) or images (--set input_size=[128,64])")

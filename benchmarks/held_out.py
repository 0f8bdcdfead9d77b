"""How many held-out identities does it take to order networks as the test set does?

    python benchmarks/held_out.py RUN [RUN ...] [--identities 25 50 100 200]

RUN is a finished training of tools/retrain.py that left identities of its training set unused, as under
configs/market1501-cpu.yaml, where 551 of 751 are. All of these are divided into disjoint groups of each size. Each
network's mAP on each group is computed as a search computes it (one query for each identity and camera), and Kendall's
tau between the runs' order there and their order on the test set is printed: the mean over the groups, the least and
the most. The same with every image of the group as a query, which costs nothing more. Runs should differ as the archs
of a search do; those that differ by much are easy to order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)
import numpy as np
import torch

from benchmarks.parts.held_out import agreements
from evaluation.comparison.row import read_result
from evaluation.features.extraction import extract_features
from evaluation.tables import aligned
from reid.config import build_config
from reid.data.split import take_identities
from reid.engine.machine.memory import keep_freed_memory
from reid.engine.runs.run_folder import CONFIG, WEIGHTS
from reid.errors import UserError
from reid.files import read_mapping
from reid.options import Parser
from search.ranking.sampling import FEWEST
from supernet.folding import fold_batch_norm
from supernet.trained.checkpoint import load_network
from tools.jobs.data import open_source, training_identities
from tools.jobs.experiment import DataConfig


def unused_after(runs: Sequence[Path]) -> DataConfig:
    """The data settings of the runs; all must have been trained on the same identities, and not on all.

    Raises:
        UserError: they were not; the message names the first such run.
    """
    settings = [_settings(run) for run in runs]
    for run, data in zip(runs, settings, strict=True):
        if data.retrain_on_holdout or not data.train_identities:
            raise UserError(f"{run} was trained on all identities; train with --set data.train_identities=N")
        if data != settings[0]:
            raise UserError(f"{run} was trained on other identities than {runs[0]}; compare runs of the same ones")
    return settings[0]


def _settings(run: Path) -> DataConfig:
    """Those of the run, but for how many identities a search would hold out: they are no matter here."""
    cure = "name a run folder of tools/retrain.py"
    saved = read_mapping(run / CONFIG, cure)
    if "data" not in saved:
        raise UserError(f"{run / CONFIG} is not of a training of a network; {cure}")
    data = build_config(DataConfig, saved["data"], f"{run / CONFIG}: data")
    return dataclasses.replace(data, holdout_identities=DataConfig().holdout_identities)


def main(arguments: list[str] | None = None) -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="finished trainings")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder of the data set")
    parser.add_argument(
        "--identities", type=int, nargs="+", default=[25, 50, 100, 200], metavar="N", help="sizes of the groups"
    )
    options = parser.parse_args(arguments)
    if len(options.runs) < FEWEST:
        parser.error(f"{len(options.runs)} runs are too few to have an order; give at least {FEWEST}")
    keep_freed_memory()
    try:
        compare(options.runs, options.data, options.identities)
    except UserError as error:
        parser.error(str(error))


def compare(runs: Sequence[Path], folder: Path | None, sizes: Sequence[int]) -> None:
    """Prints the table."""
    data = unused_after(runs)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    truth = [read_result(run).mAP for run in runs]
    networks = [load_network(run / WEIGHTS, device) for run in runs]
    source = open_source(data, folder, networks[0][1].input_size)
    left = len(training_identities(source)) - data.train_identities
    if too_many := [size for size in sizes if not 2 <= size <= left]:
        raise UserError(f"--identities {too_many[0]}: {left} are unused; give 2 to {left}")
    images = take_identities(source.decode(source.dataset.train), data.train_identities, None)
    features = [
        extract_features(fold_batch_norm(network.eval()), images, spec.input_size, device, progress=True)
        for network, spec in networks
    ]
    print(f"{len(runs)} networks of {min(truth):.1%} to {max(truth):.1%} mAP on the test set; {left} unused identities")
    lines = [["queries", "identities", "groups", "mAP %", "tau", "least", "most"]]
    for each in agreements(features, images, truth, sizes):
        taus = (f"{tau:.2f}" for tau in (np.mean(each.taus), min(each.taus), max(each.taus)))
        lines.append([each.queries, str(each.identities), str(each.groups), f"{100 * each.mAP:.1f}", *taus])
    print(aligned(lines, 1, ruled=True))


if __name__ == "__main__":
    main()

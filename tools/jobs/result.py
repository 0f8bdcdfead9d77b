"""The final evaluation of a network on the official query and gallery, and the row that is kept of it."""

from __future__ import annotations

from pathlib import Path

import torch

from evaluation.comparison import ResultRow, comparison_table, write_result
from evaluation.features import evaluate_network
from evaluation.metrics import ReidScore
from reid.files import write_json
from reid.models.network import ReidNetwork, count_parameters
from search.cost import network_flops
from search.latency import measure_latency
from supernet.catalog import NetworkSpec
from tools.jobs.data import Source, test_data
from tools.jobs.provenance import command, commit

WEIGHTS = "last.safetensors"
"""A run's network: weights, and in the header what network they are of."""


def score_on_test(
    network: ReidNetwork,
    spec: NetworkSpec,
    source: Source,
    device: torch.device,
    run: Path,
    *,
    kind: str,
    name: str,
    epochs: int,
    seed: int,
    train_set: str,
    notes: tuple[str, ...] = (),
) -> ResultRow:
    """Scores ``network``, writes ``result.json`` and ``score.json`` into ``run``, prints the table of one row."""
    query, gallery = test_data(source)
    size = spec.input_size
    score = evaluate_network(network, query, gallery, size, device, progress=True)
    row = ResultRow(
        name=name,
        kind=kind,
        mAP=score.mAP,
        rank1=score.rank1,
        # fvcore traces on the CPU; the count does not depend on the weights.
        flops=network_flops(network.cpu().eval(), size),
        parameters=count_parameters(network),
        latency_ms=measure_latency([(network, size)], torch.device("cpu"))[0],
        epochs=epochs,
        seed=seed,
        input_size=size,
        train_set=train_set,
        run=str(run),
        test_set=f"{source.dataset.name}: {len(query)} queries, {len(gallery)} gallery images",
        notes=notes,
    )
    _write(run, row, score)
    return row


def _write(run: Path, row: ResultRow, score: ReidScore) -> None:
    write_json(run / "score.json", {**score.as_dict(), "command": command(), "commit": commit()})
    write_result(run, row)
    print(comparison_table([row]))

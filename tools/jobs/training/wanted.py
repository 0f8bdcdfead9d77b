"""The request for a training of one network, and the configuration that determines its final weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supernet.catalog import NetworkSpec, find_network, spec_to_dict
from supernet.files import load_space
from tools.jobs.data import Source
from tools.jobs.job import Job
from tools.jobs.runs.provenance import run_config
from tools.jobs.training.beginning import weights_sha256
from tools.jobs.training.cool_down import CoolDown
from tools.jobs.training.teacher import teacher_sha256


@dataclass(frozen=True)
class Retraining:
    """What to train.

    Attributes:
        network: name or path; see ``find_network``.
        search: a search's run folder, whose archs are looked up before ``configs/archs``.
        weights: source of the backbone's weights (see ``start_of``), ``supernet:<run folder>`` for the supernet's
            weights of the arch (see ``tools.jobs.training.inherit``), or ``None`` for training from scratch.
        label: shown beside the network's name in tables, to tell recipes apart.
        cool_down: the interrupted training to end, or ``None`` for a new one.
        test: whether the final weights are scored on the test set; a search's finalists are not.
    """

    network: str
    search: Path
    weights: str | None = None
    label: str = ""
    cool_down: CoolDown | None = None
    test: bool = True


def network_to_train(job: Job, what: Retraining) -> tuple[NetworkSpec, Path | None]:
    """The network at its training size (the config's ``input_size``, or else its own), and its arch file if any."""
    experiment = job.experiment
    return find_network(
        what.network,
        [what.search / "archs"],
        experiment.input_size,
        load_space(experiment.space).input_size,
        experiment.last_stride,
        experiment.retrain.head,
    )


def training_config(
    job: Job, what: Retraining, spec: NetworkSpec, source: Source, supernet_sha256: str | None
) -> dict[str, Any]:
    """What a training's run folder records: everything that determines its final weights."""
    experiment = job.experiment
    return run_config(job, source, data=experiment.data, recipe=experiment.retrain) | {
        "network": spec_to_dict(spec),
        "weights": what.weights,
        **weights_sha256(what.weights),
        **({"supernet_sha256": supernet_sha256} if supernet_sha256 else {}),
        **teacher_sha256(experiment.retrain.losses.distillation),
    }

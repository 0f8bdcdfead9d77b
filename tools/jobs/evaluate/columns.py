"""The data sets that several networks are tested on, each divided as in the trainings on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reid.data.datasets.partition import partition_of
from reid.errors import UserError
from tools.jobs.evaluate.datasets import dataset_words, named
from tools.jobs.experiment import DataConfig
from tools.jobs.job import Job
from tools.jobs.runs.data import names_data


@dataclass(frozen=True)
class Column:
    """A data set of the matrix.

    Attributes:
        data: the configuration to open it with.
        rule: a line in addition to its scores' rules; empty if it is read as requested.
    """

    data: DataConfig
    rule: str = ""


def column_of(name: str, job: Job, rows: Sequence[tuple[str, DataConfig]]) -> Column:
    """The data set for ``NAME`` or ``NAME=FOLDER``.

    If the user's own configuration specifies how to read it, that applies. Otherwise, if a network was trained on it,
    it is read as in that training (split, share, seed, pattern), so that no person the network has seen is tested.

    Args:
        rows: name and data of each network whose training data are known.

    Raises:
        UserError: the name is unknown, or networks were trained on different divisions of the data set.
    """
    config = job.experiment.data
    asked = named(name, config)
    if asked.dataset is None and names_data(job) or asked.dataset is not None and asked.dataset == config.dataset:
        return Column(asked)
    known = [(row, _as_trained(asked, data)) for row, data in rows if _is_of(asked, data)]
    if not known:
        return Column(asked)
    row, first = known[0]
    for other, data in known[1:]:
        if _division(data) != _division(first):
            raise UserError(
                f"--datasets {name}: {row} was trained on {_words(first)}, {other} on {_words(data)}, so the "
                "test persons of one may be known to the other; evaluate the two in separate commands"
            )
    return Column(first) if first == asked else Column(first, f"read as in the training of {row}: {_words(first)}")


def _is_of(asked: DataConfig, trained: DataConfig) -> bool:
    """Whether a training used the requested data set."""
    if asked.dataset is None or trained.dataset is None:
        return asked.dataset is trained.dataset and asked.name == trained.name
    same = partition_of(asked.dataset).persons == partition_of(trained.dataset).persons
    return same and asked.dataset.name == trained.dataset.name


def _as_trained(asked: DataConfig, trained: DataConfig) -> DataConfig:
    if asked.dataset is None:
        return replace(asked, synthetic=trained.synthetic)
    root = asked.dataset.root or trained.dataset.root
    return replace(asked, dataset=replace(trained.dataset, root=root))


def _division(data: DataConfig) -> object:
    return data.synthetic if data.dataset is None else partition_of(data.dataset)


def _words(data: DataConfig) -> str:
    if data.dataset is not None:
        return dataset_words(data.dataset)
    made = data.synthetic
    return f"{data.name} (seed {made.seed}, {made.train_identities} training persons)"

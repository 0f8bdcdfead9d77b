from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
from torch.utils.tensorboard import SummaryWriter
from werkzeug.test import Client

from evaluation.projector import choose_points, write_projector
from reid.errors import UserError

PIDS = torch.tensor([7, 2, -1, 7, 0, 2, 9])
CAMIDS = torch.tensor([1, 2, 3, 4, 5, 6, 1])
VECTORS = torch.arange(28.0).reshape(7, 4) / 3


def served(folder, route: str, **query: str) -> bytes:
    """What TensorBoard's own plugin answers a browser."""
    events = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    context = TBContext(logdir=str(folder), data_provider=MultiplexerDataProvider(events, str(folder)))
    answer = Client(ProjectorPlugin(context).get_plugin_apps()[route]).get(query_string=query)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_data()


@pytest.fixture
def run(tmp_path):
    with SummaryWriter(str(tmp_path / "tensorboard")) as writer:
        writer.add_scalar("loss/total", 1.0, 1)
    return tmp_path


def test_tensorboard_shows_vectors_and_labels(run):
    write_projector(run / "tensorboard", VECTORS, PIDS, CAMIDS)
    assert json.loads(served(run, "/runs")) == ["tensorboard"]
    (shown,) = json.loads(served(run, "/info", run="tensorboard"))["embeddings"]
    query = {"run": "tensorboard", "name": shown["tensorName"]}
    vectors = np.frombuffer(served(run, "/tensor", **query), dtype=np.float32).reshape(-1, 4)
    np.testing.assert_allclose(vectors, VECTORS[[1, 5, 0, 3, 6]], rtol=1e-5)
    labels = served(run, "/metadata", **query).decode().splitlines()
    assert labels == ["identity\tcamera", "2\t2", "2\t6", "7\t1", "7\t4", "9\t1"]  # no junk, no distractor


def test_persons_that_are_numbered_from_0_are_all_there(run):
    """As other toolkits number MSMT17's; the rule of such a feature file says so."""
    write_projector(run / "tensorboard", VECTORS, PIDS, CAMIDS, nobody=())
    lines = (run / "tensorboard" / "projector" / "metadata.tsv").read_text().splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["-1", "0", "2", "2", "7", "7", "9"]


def test_writing_again_replaces_and_leaves_no_picture(run):
    folder = run / "tensorboard"
    write_projector(folder, VECTORS, PIDS, CAMIDS)
    before = sorted(path.name for path in folder.rglob("*"))
    write_projector(folder, VECTORS + 1, PIDS, CAMIDS)
    assert sorted(path.name for path in folder.rglob("*")) == before
    assert "sprite" not in (folder / "projector_config.pbtxt").read_text()
    (shown,) = json.loads(served(run, "/info", run="tensorboard"))["embeddings"]
    tensor = served(run, "/tensor", run="tensorboard", name=shown["tensorName"])
    assert np.frombuffer(tensor, dtype=np.float32)[0] == pytest.approx(float(VECTORS[1, 0]) + 1, rel=1e-5)


@given(st.lists(st.integers(-1, 6), min_size=1, max_size=40), st.integers(1, 12))
def test_points_are_whole_identities_in_order(labels, limit):
    pids = torch.tensor(labels)
    persons = sorted({pid for pid in labels if pid > 0})
    if not persons:
        with pytest.raises(UserError, match="no image of a person"):
            choose_points(pids, limit)
        return
    expected = [index for index, pid in enumerate(labels) if pid == persons[0]][:limit]
    for person in persons[1:]:
        own = [index for index, pid in enumerate(labels) if pid == person]
        if len(expected) + len(own) > limit:
            break
        expected += own
    assert choose_points(pids, limit).tolist() == expected


def test_lengths_that_differ_are_named(tmp_path):
    with pytest.raises(UserError, match="7 embeddings, 7 pids and 6 camids"):
        write_projector(tmp_path, VECTORS, PIDS, CAMIDS[:6])
    assert not list(tmp_path.iterdir())

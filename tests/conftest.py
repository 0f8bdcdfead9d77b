"""Programs that run in two processes at once, for tests of what torchrun starts, a reader of report pages, and files
that several tests read."""

from __future__ import annotations

import base64
import importlib.util
import multiprocessing
import runpy
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from multiprocessing.context import BaseContext
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import hypothesis
import numpy as np
import pytest
import torch

from evaluation.features.digits import IMAGES, LABELS
from reid.engine.runs.checkpoint import save_weights
from supernet.catalog import NetworkSpec, build, spec_to_dict
from supernet.files import arch_from_rows
from tests.processes import run_together

# No deadline: where other work shares the cores, an example of a sound test takes longer than 200 ms now and then.
# `make test` draws the same examples each time, so that a commit has one outcome; `make test-all` draws others.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.register_profile("anew", deadline=None, print_blob=True)
hypothesis.settings.load_profile("repeatable")

PRELOADED = ["tests.conftest", "reid.engine.trainer", "search.run", "search.scoring.evaluator", "torch._dynamo"]


@pytest.fixture(scope="session")
def forkserver() -> BaseContext:
    """Makes processes by forking one that has imported torch and nni once: a fresh start takes seconds each."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def _run_program(program: Path, folder: Path) -> None:
    sys.argv = [str(program), str(folder)]
    runpy.run_path(str(program), run_name="__main__")


@pytest.fixture(scope="session")
def run_twice(forkserver, tmp_path_factory) -> Callable[[Path, Path], list[str]]:
    """Runs ``program folder`` in two processes at once, with torchrun's variables; gives what each printed.

    They meet in a file below ``folder``.
    """

    def run(program: Path, folder: Path) -> list[str]:
        ended = run_together(forkserver, 2, tmp_path_factory.mktemp("said"), _run_program, program, folder)
        assert [each.returncode for each in ended] == [0, 0], "\n".join(each.said for each in ended)
        return [each.said for each in ended]

    return run


@pytest.fixture(scope="session")
def load_program() -> Callable[[Path], ModuleType]:
    """Such a program as a module, for the same training in this process."""

    def load(program: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(program.stem, program)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


class Page(HTMLParser):
    """Text, cells, pictures and links of a page; fails on tags that are not closed in order, and on pictures that are
    not in the page itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.pictures: list[bytes] = []
        self.links: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        assert tag not in ("script", "link", "iframe", "object")
        if tag == "a":
            self.links.append(dict(attrs)["href"])
        if tag == "img":
            self.pictures.append(
                base64.b64decode(dict(attrs)["src"].removeprefix("data:image/png;base64,"), validate=True)
            )

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1], data))

    def all(self, tag: str) -> list[str]:
        return [text for own, text in self.texts if own == tag]


@pytest.fixture(scope="session")
def read_page() -> Callable[[Path], Page]:
    """Reads a report page, and checks that it needs nothing else: it fetches nothing, and its links are paths, relative
    to it, of files that are there."""

    def read(path: Path) -> Page:
        text = path.read_text(encoding="utf-8")
        page = Page(text)
        assert not any(word in text for word in ("url(", "@import", 'src="http', "srcset"))
        assert [link for link in page.links if not (path.parent / unquote(link)).is_file()] == []
        assert not any(link.startswith("/") for link in page.links)
        return page

    return read


@pytest.fixture(scope="session")
def write_mnist() -> Callable[[Path, np.ndarray, np.ndarray], None]:
    """Writes images ``(N, 28, 28)`` and labels ``(N,)`` as files of MNIST's test set into a new folder."""

    def write(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
        """As LeCun's page has the format: two zero bytes, 8 for bytes, the number of sides, each side, big endian."""
        folder.mkdir(parents=True)
        for name, array in ((IMAGES, images), (LABELS, labels)):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
            (folder / name).write_bytes(header + array.astype(np.uint8).tobytes())

    return write


@pytest.fixture(scope="session")
def small_run(tmp_path_factory) -> Path:
    """A run folder, as far as its weights: of a network ``Small`` of 16 features for images of 64x32, whose BN has seen
    something."""
    arch = arch_from_rows([[1, 8, 1, 1], [3, 8, 1, 2]], input_size=(64, 32), stem=8, last_width=16)
    spec = NetworkSpec("Small", arch, arch.input_size)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = build(spec)
        network.train()(torch.randn(16, 3, 64, 32))
    return save_weights(tmp_path_factory.mktemp("run") / "last.safetensors", network, spec_to_dict(spec)).parent

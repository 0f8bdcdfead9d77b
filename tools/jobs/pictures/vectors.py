"""A t-SNE of existing vectors, without network or data set: from a file, or of handwritten digits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.features.digits import mnist_pixels, sklearn_digits
from evaluation.features.files import load_features
from evaluation.features.learnt_digits import STEPS, LearntDigits, each_by_the_others, learn_digits
from evaluation.features.scikit_learn import need_sklearn
from evaluation.features.vector_files import LabelledVectors, read_labelled
from evaluation.pictures.tsne import draw_tsne
from evaluation.report.html import Picture, Section, write_report
from evaluation.tsne import Plane, labelled_plane, tsne_plane
from reid.errors import UserError, nearest
from reid.files import write_json
from tools.jobs import data
from tools.jobs.job import Job
from tools.jobs.paths import shown
from tools.jobs.pictures.job import PICTURES, earlier_pictures
from tools.jobs.pictures.page import PAGE
from tools.jobs.pictures.request import persons_shown
from tools.jobs.runs.ownership import alone
from tools.jobs.runs.provenance import command, commit, made_by
from tools.jobs.words.opening import announce

DIGITS = {"mnist": "MNIST's test digits", "digits": "scikit-learn's digits"}
"""Values of SOURCE other than files, with their descriptions."""

MOST_DIGITS = 2000
"""Default number of digits in the picture; a layout of all 10,000 takes a minute or two and shows no more."""


@dataclass(frozen=True)
class VectorsRequest:
    """The options for a t-SNE of existing vectors.

    Attributes:
        labels: file of labels; see ``evaluation.features.vector_files``.
        persons: number of labels to show; ``None`` for ``persons_shown``.
        named: labels to show before others are drawn at random.
        images: maximum number of vectors; ``None`` for all, or for ``MOST_DIGITS`` digits.
        learn: for digits: whether to train a network on half of them and draw the other half's embeddings.
        perplexity: see ``evaluation.tsne``.
        metric: ``cosine`` or ``euclidean``; ``None`` for Euclidean distances of pixels and cosine otherwise.
    """

    labels: Path | None = None
    persons: int | None = None
    named: tuple[str, ...] = ()
    images: int | None = None
    learn: bool = False
    perplexity: float | None = None
    metric: str | None = None


def holds_vectors(source: Path) -> bool:
    """Whether ``source``, given to ``tools/visualize.py``, stands for vectors rather than a network."""
    return source.suffix in (".npz", ".npy") or (str(source) in DIGITS and not source.exists())


@alone
def visualize_vectors(job: Job, source: Path, request: VectorsRequest) -> Path:
    """Draws ``tsne.png`` into ``job.out`` and returns the page with it.

    Raises:
        UserError: the source is missing or holds no labelled vectors, an option does not fit them, or the folder
            already holds pictures.
    """
    need_sklearn()
    earlier = earlier_pictures(job.out, job.resume)
    metric = request.metric or ("euclidean" if str(source) in DIGITS and not request.learn else "cosine")
    what = DIGITS.get(str(source), source.name)
    learnt = _learnt(job, source, what) if request.learn else None
    plane, names, word = _laid_out(job, source, request, metric, learnt)
    lines = [("t-SNE", f"{len(plane.pids)} vectors, {metric} distance, perplexity {plane.perplexity:.4g}")]
    scores = {} if learnt is None else _scores(learnt)
    lines += [(name, f"{100 * mAP:.1f} % mAP of each digit by the others") for name, mAP in scores.items()]
    announce(f"drawing {what}, in {shown(job.out)}", lines)
    path = draw_tsne(
        plane, job.out / "tsne.png", f"{_title(what, word, learnt)} (t-SNE)", names.__getitem__, word=word, legend=True
    )
    for name in set(earlier) - {path.name}:
        (job.out / name).unlink(missing_ok=True)
    told = {"images": len(plane.pids), "labels": len(np.unique(plane.pids)), "metric": metric}
    layout = {**told, "perplexity": plane.perplexity, "seed": job.seed}
    about = {"source": what, "tsne": layout, "command": command(), "commit": commit()}
    if learnt is not None:
        about["learnt"] = {"digits": learnt.learnt, "steps": STEPS, "mAP": scores}
    write_json(job.out / PICTURES, {"pictures": [path.name], **about})
    cards = [("Vectors of", what), ("Shown", f"{len(plane.pids)} of {told['labels']} {word}s"), ("Distance", metric)]
    cards += [(f"mAP of {name}", f"{100 * mAP:.1f} %") for name, mAP in scores.items()]
    sections = [Section("Embeddings (t-SNE)", pictures=(Picture(path, path.name),)), Section("Command", code=made_by())]
    return write_report(job.out / PAGE, f"t-SNE of {what}", cards, sections)


def _learnt(job: Job, source: Path, what: str) -> LearntDigits:
    pixels = _labelled(job, source, VectorsRequest())
    print(f"training on half of {what}, {STEPS} steps of the triplet loss; the other half is drawn", flush=True)
    return learn_digits(pixels, job.seed)


def _scores(learnt: LearntDigits) -> dict[str, float]:
    return {
        "pixels": each_by_the_others(learnt.pixels, "euclidean"),
        "embeddings": each_by_the_others(learnt.embeddings, "cosine"),
    }


def _laid_out(
    job: Job, source: Path, request: VectorsRequest, metric: str, learnt: LearntDigits | None
) -> tuple[Plane, dict[int, str], str]:
    """The layout, the names of its labels, and the word for a label (person, digit, ...)."""
    shown_persons = persons_shown(request.persons, request.named)
    chosen = {"seed": job.seed, "perplexity": request.perplexity, "metric": metric}
    if str(source) not in DIGITS and request.labels is None and _of_retrieval(source):
        features = load_features(source)
        persons = sorted({*features.query.pids.tolist(), *features.gallery.pids.tolist()})
        named = _numbers(source, request.named, [str(pid) for pid in persons])
        first = [persons[place] for place in named]
        plane = tsne_plane(features, shown_persons, named=first, most=request.images, **chosen)
        return plane, {pid: str(pid) for pid in persons}, "person"
    given = _labelled(job, source, request) if learnt is None else learnt.embeddings
    most = request.images or (MOST_DIGITS if str(source) in DIGITS else None)
    named = _numbers(source, request.named, given.names)
    plane = labelled_plane(given, shown_persons, named=named, most=most, **chosen)
    return plane, dict(enumerate(given.names)), given.word


def _labelled(job: Job, source: Path, request: VectorsRequest) -> LabelledVectors:
    if str(source) == "mnist":
        return mnist_pixels(job.data, data.ROOT)
    return sklearn_digits() if str(source) == "digits" else read_labelled(source, request.labels)


def _of_retrieval(path: Path) -> bool:
    """Whether it is a feature file of query and gallery; errors in it are left to its reader."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return "query_features" in file
    except Exception:
        return False


def _numbers(source: Path, wanted: Sequence[str], names: Sequence[str]) -> list[int]:
    for name in wanted:
        if name not in names:
            cure = nearest(name, names) or f"; for example {', '.join(names[:3])}"
            raise UserError(f"--pids {name}: {source} has no such label{cure}")
    return [names.index(name) for name in wanted]


def _title(what: str, word: str, learnt: LearntDigits | None) -> str:
    if learnt is not None:
        return f"Learnt embeddings of {what}"
    return f"Pixels of {what}" if word == "digit" else f"Embeddings in {what}"

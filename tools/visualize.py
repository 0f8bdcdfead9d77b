"""Draws what a network sees: ranked lists of queries, activation maps, and a t-SNE of embeddings.

SOURCE is a run folder or its last.safetensors; a network of the zoo by its name; an .onnx file (without activation
maps); or a supernet's weights with --arch. Queries are drawn at random (--seed), or are those of --pids, or
the --worst. All pictures are PNG files in --out, with an index.html that shows them. docs/pictures.md has examples.
Keep pictures of real persons private.

SOURCE may also be vectors, for a t-SNE that needs no network and no data set: features.npz of tools/embed.py or
tools/evaluate.py --save-features, any .npz of features and labels, or a .npy with --labels; or mnist (from your disk)
or digits (scikit-learn's), laid out by their pixels or, with --learn, by the embeddings of a small network trained on
them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from reid.errors import UserError
from tools.cli import add_search, job_parser, read_job, run_tool
from tools.jobs.evaluate.checkpoints import run_name
from tools.jobs.evaluate.protocol_options import add_comparison, read_comparison
from tools.jobs.pictures.job import visualize
from tools.jobs.pictures.request import KINDS, LONGEST, PERSONS, QUERIES, TOP, Request, check_request
from tools.jobs.pictures.vectors import VectorsRequest, holds_vectors, visualize_vectors
from tools.jobs.runs.data import on_its_data

OUT = "runs/pictures-<name>"


def _parser() -> argparse.ArgumentParser:
    parser = job_parser(__doc__, OUT, anew=True)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="network or vectors to draw: see above")
    parser.add_argument("--arch", metavar="NAME", help="with a supernet: an arch's name or file, largest, or smallest")
    add_search(parser)
    parser.add_argument(
        "--dataset", metavar="NAME", help="use this data set instead of the config's: NAME or NAME=FOLDER"
    )
    parser.add_argument("--split", metavar="N", help="number of the split, for a data set that has several")
    add_comparison(parser)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="what to draw (default: everything possible)")
    parser.add_argument(
        "--queries",
        type=int,
        metavar="N",
        help=f"number of queries (default: {QUERIES}; with --pids, all of those persons)",
    )
    parser.add_argument(
        "--pids",
        nargs="+",
        default=[],
        metavar="ID",
        help="draw queries of these persons only; they also come first in the t-SNE",
    )
    parser.add_argument(
        "--worst", action="store_true", help="draw the queries with the lowest average precision, worst first"
    )
    parser.add_argument(
        "--top",
        type=int,
        default=TOP,
        metavar="K",
        help=f"gallery images per query, up to {LONGEST} (default: {TOP})",
    )
    parser.add_argument(
        "--activations-in-lists", action="store_true", help="show activation maps below the images of the ranked lists"
    )
    parser.add_argument(
        "--persons",
        type=int,
        metavar="M",
        help=f"number of persons in the t-SNE (default: {PERSONS}, or all --pids if more)",
    )
    parser.add_argument(
        "--perplexity",
        type=float,
        metavar="P",
        help="perplexity of the t-SNE (default: 30, or a third of the images if that is less)",
    )
    vectors = parser.add_argument_group("vectors")
    vectors.add_argument(
        "--labels", type=Path, metavar="FILE", help="labels: a .npy file, or a text file with one label per line"
    )
    vectors.add_argument(
        "--images",
        type=int,
        metavar="N",
        help="largest number of vectors in the t-SNE (default: all; 2000 for mnist and digits)",
    )
    vectors.add_argument(
        "--learn",
        action="store_true",
        help="with mnist or digits: train a small network on half of them with the triplet loss, and draw its "
        "embeddings of the other half",
    )
    parser.set_defaults(metric=None)
    return parser


def main(arguments: list[str] | None = None) -> None:
    parser = _parser()
    read = parser.parse_args(arguments)
    if holds_vectors(read.source):
        request = _read_vectors(parser, read)
        job = read_job(read, f"runs/pictures-{read.source.stem}")
        print(f"pictures: {visualize_vectors(job, read.source, request)}")
        return
    for option in ("labels", "images"):
        if getattr(read, option) is not None:
            raise UserError(
                f"--{option}: is only for vectors in a file (.npz or .npy), but {read.source} is read as a network; "
                "leave it out"
            )
    if read.learn:
        raise UserError(f"--learn: is only for mnist and digits, but {read.source} is read as a network; leave it out")
    read.metric = read.metric or Request.protocol.metric
    request = Request(
        kinds=None if read.kinds is None else tuple(read.kinds),
        protocol=read_comparison(read),
        dataset=read.dataset,
        split=read.split,
        queries=read.queries,
        pids=tuple(read.pids),
        worst=read.worst,
        top=read.top,
        maps_in_lists=read.activations_in_lists,
        persons=read.persons,
        perplexity=read.perplexity,
    )
    job = read_job(read, f"runs/pictures-{run_name(read.source, read.arch, read.dataset)}")
    print(f"pictures: {visualize(on_its_data(job, read.source), read.source, read.arch, read.search, request)}")


def _read_vectors(parser: argparse.ArgumentParser, read: argparse.Namespace) -> VectorsRequest:
    """The options of a t-SNE of vectors; raises UserError for an option that needs a network or images."""
    kinds = [kind for kind in read.kinds or () if kind != "tsne"]
    if kinds:
        raise UserError(f"--kinds {kinds[0]}: needs a network; of vectors only a t-SNE can be drawn")
    for option in ("arch", "dataset", "split", "flip", "precision", "queries", "worst", "top", "activations_in_lists"):
        if getattr(read, option) != parser.get_default(option):
            raise UserError(f"--{option.replace('_', '-')}: needs a network; leave it out for a t-SNE of vectors")
    if read.data is not None and str(read.source) != "mnist":
        raise UserError(f"--data {read.data}: vectors need no data set; leave it out")
    if str(read.source) in ("mnist", "digits") and read.labels is not None:
        raise UserError(f"--labels {read.labels}: {read.source} has labels of its own; leave it out")
    if read.learn and str(read.source) not in ("mnist", "digits"):
        raise UserError(
            f"--learn: is only for mnist and digits; the vectors in {read.source} are drawn as they are, so leave it "
            "out"
        )
    if read.images is not None and read.images < 3:
        raise UserError(f"--images {read.images}: must be at least 3")
    check_request(Request(persons=read.persons))
    return VectorsRequest(
        read.labels, read.persons, tuple(read.pids), read.images, read.learn, read.perplexity, read.metric
    )


if __name__ == "__main__":
    run_tool(main, again="run the command again with --replace")

"""Pictures of what a network sees: ranked lists of queries, activation maps, and a t-SNE of embeddings.

SOURCE is a run folder or its last.safetensors; a network of the zoo by its name; an .onnx file (without activation
maps); or a supernet's weights with --arch. Queries are drawn by --seed, or are those of --pids, or the --worst. All
pictures are PNG files in --out, with an index.html that holds them. docs/pictures.md shows them. Those of real persons
are to be kept private.
"""

from __future__ import annotations

from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from tools.cli import add_search, job_parser, read_job, run_tool
from tools.jobs.checkpoints import run_name
from tools.jobs.pictures.request import KINDS, LONGEST, QUERIES, Request
from tools.jobs.protocol_options import add_comparison, read_comparison
from tools.jobs.run_data import on_its_data
from tools.jobs.visualize import visualize

OUT = "runs/pictures-<name>"


def main(arguments: list[str] | None = None) -> None:
    parser = job_parser(__doc__, OUT)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="whose pictures: see above")
    parser.add_argument("--arch", metavar="NAME", help="with a supernet: an arch's name or file, or largest, smallest")
    add_search(parser)
    parser.add_argument("--dataset", metavar="NAME", help="another data set than the config's: NAME or NAME=FOLDER")
    parser.add_argument("--split", metavar="N", help="of a data set with several splits: its number")
    add_comparison(parser)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="what to draw (default: all)")
    parser.add_argument(
        "--queries", type=int, metavar="N", help=f"how many (default: {QUERIES}; with --pids all of those persons')"
    )
    parser.add_argument(
        "--pids",
        nargs="+",
        default=[],
        metavar="ID",
        help="queries of these persons alone; they come first in the t-SNE",
    )
    parser.add_argument("--worst", action="store_true", help="queries of the least average precision, worst first")
    parser.add_argument(
        "--top", type=int, default=10, metavar="K", help=f"gallery images of each query, up to {LONGEST} (default: 10)"
    )
    parser.add_argument(
        "--activations-in-lists", action="store_true", help="activation maps below the images of the ranked lists"
    )
    parser.add_argument("--persons", type=int, default=10, metavar="M", help="persons in the t-SNE (default: 10)")
    parser.add_argument(
        "--perplexity", type=float, help="of the t-SNE (default: 30, or a third of the images where that is less)"
    )
    read = parser.parse_args(arguments)
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


if __name__ == "__main__":
    run_tool(main, again="give the command again")

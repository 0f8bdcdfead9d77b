"""Embeds images of persons with a trained network, and finds the images most similar to a given one.

python tools/embed.py SOURCE IMAGES --out features.npz          features (N, D) of length 1, and the names of the files
python tools/embed.py SOURCE IMAGES --query IMG --top 5         the nearest images, with their cosine similarity

SOURCE is a name of the zoo (tools/zoo.py lists them), a run folder, its last.safetensors, or an .onnx file of
tools/export.py. IMAGES are files, or folders that are searched recursively. docs/embed.md shows the same in Python.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from evaluation.embedder import Embedder
from reid.errors import UserError
from tools.cli import add_device, add_replace, run_tool
from tools.jobs.embed import embed_files, images_in, nearest_files, save_vectors
from tools.jobs.paths import check_file, shown
from tools.size_option import add_size, joined
from tools.typed import tool_parser

TOP = 10
FORMER = "--input-size"


def main(arguments: list[str] | None = None) -> None:
    parser = tool_parser(__doc__)
    parser.add_argument("source", metavar="SOURCE", help="the network: see above")
    parser.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGES", help="images of one person each, or folders of them"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write the vectors to this .npz file: features and names"
    )
    add_replace(parser)
    parser.add_argument("--query", type=Path, metavar="IMG", help="print the images most similar to this one")
    parser.add_argument(
        "--top", type=int, metavar="K", help=f"with --query: number of images to print (default: {TOP})"
    )
    add_size(parser, "input size, for an .onnx file that takes images of any size", None, FORMER)
    add_device(parser)
    read = parser.parse_args(joined(arguments, FORMER))
    _check_options(read)
    files = images_in(read.images)
    if read.query is not None and not read.query.is_file():
        raise UserError(f"--query {read.query}: there is no such file; name an image")
    embedder = Embedder.open(read.source, read.device, input_size=read.size)
    query = None if read.query is None else embed_files(embedder, [read.query])[0]
    vectors = embed_files(embedder, files, progress=True)
    if read.out is not None:
        print(f"features: {vectors.shape}, of norm 1, in {shown(save_vectors(read.out, vectors, files))}")
    if query is not None:
        for alike, file in nearest_files(query, vectors, files, read.top or TOP):
            print(f"{alike:6.3f}  {file}")


def _check_options(read: argparse.Namespace) -> None:
    """Raises UserError if nothing is asked for, or an option does not fit."""
    if read.out is None and read.query is None:
        raise UserError("nothing to do; give --out FILE.npz, --query IMG, or both")
    if read.top is not None and (read.query is None or read.top < 1):
        raise UserError(f"--top {read.top}: must be at least 1, and needs --query")
    if read.out is not None:
        if read.out.suffix != ".npz":
            raise UserError(f"--out {read.out}: must end in .npz")
        check_file(read.out, "--out")
        if read.out.exists() and not read.resume:
            raise UserError(f"{shown(read.out)} already exists; give another --out, or --replace to write it again")
    elif read.resume:
        raise UserError("--replace: is only for --out; leave it out, or give --out")


if __name__ == "__main__":
    run_tool(main, again="run the command again", less="give a smaller --size where the network leaves it open")

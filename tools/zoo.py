"""Lists the trained networks that come with the checkout, describes one, runs it on images, or adds that of a run.

python tools/zoo.py                                    the list of networks
python tools/zoo.py NAME                               everything known about a network; checks its file
python tools/zoo.py NAME --image A.jpg B.jpg           its features of images, and how similar the images are
python tools/zoo.py add RUN --name NAME                adds the weights of a run of tools/retrain.py
python tools/zoo.py --markdown                         the table of docs/zoo.md
python tools/zoo.py --picture FILE.png                 accuracy against FLOPs, beside published networks
"""

from __future__ import annotations

import argparse
from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)
import torch

from reid.errors import UserError
from supernet.trained.checkpoint import load_network
from supernet.trained.zoo import FOLDER, find_entry, zoo_weights
from tools.cli import run_tool
from tools.jobs.paths import shown
from tools.jobs.zoo.job import ADD, add, describe, features_of, markdown_table, zoo_table
from tools.jobs.zoo.picture import check_picture, draw_zoo
from tools.typed import tool_parser


def main(arguments: list[str] | None = None) -> None:
    parser = tool_parser(__doc__)
    parser.add_argument("what", nargs="?", metavar="NAME", help="a network's name; or add")
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN", help="with add: run folder of tools/retrain.py")
    parser.add_argument("--image", type=Path, nargs="+", default=[], metavar="FILE", help="images of one person each")
    parser.add_argument("--name", metavar="NAME", help="with add: name for the network")
    parser.add_argument(
        "--flip",
        type=Path,
        metavar="FOLDER",
        help="with add: run of tools/evaluate.py --flip whose score to record",
    )
    parser.add_argument("--replace", action="store_true", help="with add: replace the network of that name")
    parser.add_argument("--markdown", action="store_true", help="print the table of docs/zoo.md")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="draw accuracy against FLOPs, beside published networks, as a PNG"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder of the weights (default: weights/)")
    read = parser.parse_args(arguments)
    _check_options(read)
    if read.what == ADD:
        if read.run is None or read.name is None:
            raise UserError("add: give the run folder and --name NAME")
        print(describe(add(read.run, read.name, read.flip, read.replace, read.folder)))
    elif read.run is not None:
        raise UserError(
            f"{read.run}: there is one argument too many; to add a run, python tools/zoo.py add {read.run} --name "
            "NAME; for an image, --image FILE"
        )
    elif read.picture is not None:
        print(f"picture: {shown(draw_zoo(read.picture, read.folder))}")
    elif read.what is None:
        print(markdown_table(read.folder) if read.markdown else zoo_table(read.folder))
    elif read.image:
        _show(read.what, read.image, read.folder)
    else:
        load_network(zoo_weights(read.what, read.folder), torch.device("cpu"))  # raises if the file is damaged
        print(describe(find_entry(read.what, read.folder)))


def _check_options(read: argparse.Namespace) -> None:
    """Raises UserError for an option that would have no effect."""
    for option, given in (("--name", read.name), ("--flip", read.flip), ("--replace", read.replace)):
        if given and read.what != ADD:
            raise UserError(
                f"{option} is only for adding weights, as in python tools/zoo.py add RUN --name NAME; leave it out"
            )
    if read.what != ADD and not read.folder.is_dir():
        raise UserError(
            f"--folder {read.folder}: there is no such folder; name a folder of weights, or leave the option out"
        )
    for option, given in (("--markdown", read.markdown), ("--picture", read.picture)):
        if given and read.what is not None:
            raise UserError(f"{option}: is for the whole zoo; leave the name out")
    if read.picture is not None:
        check_picture(read.picture)
        if read.markdown:
            raise UserError("--markdown and --picture: give one of the two")
    if read.image and read.what in (None, ADD):
        raise UserError("--image: name the network too: python tools/zoo.py NAME --image FILE")


def _show(name: str, images: list[Path], folder: Path) -> None:
    features = features_of(name, images, folder)
    print(f"features: {tuple(features.shape)}, of norm 1")
    for number, image in enumerate(images):
        alike = " ".join(f"{value:6.3f}" for value in (features[number] @ features.T).tolist())
        print(f"{alike}  {image.name}")


if __name__ == "__main__":
    run_tool(main, again="run the command again", less="give fewer images")

"""Makes a run folder from a network trained by torchreid (OSNet with its fc layer), for all tools that take runs.

python tools/import_torchreid.py osnet_x1_0_market.pth --out runs/osnet-torchreid
python tools/evaluate.py runs/osnet-torchreid --metric euclidean

Its embeddings are those of torchreid's model in eval mode. docs/evaluation.md says which files are accepted.
"""

from __future__ import annotations

from pathlib import Path

import _root  # noqa: F401  (first: it mends the import path)

from reid.engine.runs.checkpoint import save_weights
from reid.engine.runs.run_folder import WEIGHTS
from reid.errors import UserError
from supernet.catalog import spec_to_dict
from supernet.trained.torchreid import load_torchreid
from tools.cli import run_tool
from tools.jobs.paths import check_folder, shown
from tools.size_option import add_size, joined
from tools.typed import to_type, tool_parser


def main(arguments: list[str] | None = None) -> None:
    parser = tool_parser(__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="state dict or checkpoint that torchreid wrote")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="run folder to write (default: runs/torchreid-<file>)"
    )
    add_size(parser, "input size that it was trained at (default: 256x128)", (256, 128))
    read = parser.parse_args(joined(arguments))
    out = read.out or Path(f"runs/torchreid-{read.file.name.partition('.')[0]}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} already exists and is not empty; give another folder with --out")
    check_folder(out)
    if not read.file.is_file():
        raise UserError(f"{read.file}: there is no such file; name a checkpoint of torchreid (.pth, .pth.tar)")
    network, spec = load_torchreid(read.file, read.size)
    path = save_weights(out / WEIGHTS, network, spec_to_dict(spec))
    print(f"network: {spec.name}, {network.feature_dim} numbers, {spec.input_size[0]}x{spec.input_size[1]}")
    print(f"weights: {shown(path)}; score them: {to_type('evaluate', shown(out), '--metric', 'euclidean')}")


if __name__ == "__main__":
    run_tool(main, again="run the command again", less="give a smaller --size")

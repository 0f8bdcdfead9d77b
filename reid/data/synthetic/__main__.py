"""Makes the synthetic data set (--out FOLDER), a contact sheet of it (--sheet FILE), or both."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

from PIL import Image, ImageOps

from reid.data.synthetic import SyntheticConfig, contact_sheet, make_synthetic
from reid.errors import UserError
from reid.options import Parser

SHEETS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")

MEANINGS = {
    "train_identities": "training persons",
    "test_identities": "other persons, in query and gallery",
    "distractors": "gallery images of persons who appear in no other image",
    "junk": "gallery images without a whole person",
    "images_per_camera": "images of each person from one camera",
    "cameras": "number of cameras",
    "seed": "random seed",
}
"""Of the config's numbers, for the help."""


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m reid.data.synthetic", description=__doc__)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write the data set to this folder")
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE", help="write a contact sheet, 8 persons under every camera"
    )
    for field in fields(SyntheticConfig):
        if field.name != "size":
            flag = "--" + field.name.replace("_", "-")
            text = f"{MEANINGS[field.name]} (default: {field.default})"
            parser.add_argument(flag, type=int, default=field.default, metavar="N", help=text)
    options = parser.parse_args(arguments)
    if options.out is None and options.sheet is None:
        parser.error("give --out FOLDER, --sheet FILE or both")
    names = [field.name for field in fields(SyntheticConfig) if field.name != "size"]
    try:
        config = SyntheticConfig(**{name: getattr(options, name) for name in names})
        if options.sheet is not None:
            _write_sheet(options.sheet, config)
            print(options.sheet)
        if options.out is not None:
            print(make_synthetic(options.out, config))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _write_sheet(path: Path, config: SyntheticConfig) -> None:
    if path.suffix.lower() not in SHEETS:
        raise UserError(f"--sheet {path}: the file's name must end in one of {', '.join(SHEETS)}")
    sheet = contact_sheet(config.seed, cameras=tuple(range(1, config.cameras + 1)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # 32 levels a channel: half the bytes of a file that is mostly camera noise.
        ImageOps.posterize(Image.fromarray(sheet), 5).save(path, optimize=True)
    except OSError as error:
        raise UserError(f"--sheet {path} cannot be written: {error.strerror or error}; name another file") from None


if __name__ == "__main__":
    sys.exit(main())

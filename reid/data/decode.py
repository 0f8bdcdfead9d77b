"""One image file as pixels."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from reid.errors import UserError


def decode_image(path: str | Path) -> np.ndarray:
    """``(H, W, 3) uint8``, as a viewer shows it: turned as EXIF says, of 16 bits a pixel the upper eight.

    Raises:
        UserError: it is no whole image, of 32 bits a pixel, or far too large.
    """
    try:
        with Image.open(path) as image:
            image.load()
            with contextlib.suppress(Exception):  # a broken EXIF block, of which Pillow raises anything, turns nothing
                ImageOps.exif_transpose(image, in_place=True)
            if image.mode == "I" and image.format == "PPM":  # a PGM of 16 bits, whose white is 65535 here
                image = Image.fromarray(np.asarray(image).astype(np.uint16))
            if image.mode in ("I", "F"):
                raise UserError(f"image {path} has pixels of 32 bits, whose white is not known; save it with 8 bits")
            if image.mode.startswith("I;16"):  # convert would make white of all but the darkest
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            image.info.pop("transparency", None)  # left out as that of RGBA is; of palettes Pillow would warn
            return np.array(image if image.mode == "RGB" else image.convert("RGB"))  # convert would copy RGB too
    except Image.DecompressionBombError:
        most = 2 * Image.MAX_IMAGE_PIXELS // 10**6
        raise UserError(f"image {path} has more than {most} million pixels; cut the persons out of it") from None
    except (OSError, SyntaxError, ValueError):  # what Pillow's decoders raise
        raise UserError(f"image {path} is unreadable or cut off; replace it or take it out") from None

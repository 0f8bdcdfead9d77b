"""What ``test_cache.py`` runs in two processes at once: ``cache_program.py FOLDER`` loads the images of
``FOLDER/set`` through ``FOLDER/cache``.

Neither builds before both have found no cache. The pixels' digest is left in ``FOLDER/digest<RANK>``.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

from reid.data import cache
from reid.data.records import ImageRecord

PATIENCE = 60.0
"""Seconds that one process waits for the other."""


def main(folder: Path) -> None:
    rank, build = int(os.environ["RANK"]), cache._build

    def together(*arguments):
        (folder / f"started{rank}").touch()
        end = time.monotonic() + PATIENCE
        while not (folder / f"started{1 - rank}").exists():
            if time.monotonic() > end:
                raise TimeoutError("the other process never started to build")
            time.sleep(0.005)
        return build(*arguments)

    cache._build = together
    records = [ImageRecord(str(path), 1, 1) for path in sorted((folder / "set").iterdir())]
    images = cache.load_images(records, folder / "cache", progress=False, workers=2).images
    (folder / f"digest{rank}").write_text(hashlib.sha256(images.numpy().tobytes()).hexdigest())


if __name__ == "__main__":
    main(Path(sys.argv[1]))

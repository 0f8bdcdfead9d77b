"""Single files of torchreid, the peer of several benchmarks: importing all of it would need all its dependencies."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def torchreid_file(folder: Path | None, pattern: str) -> Path | None:
    """The first file of the package ``torchreid`` that ``pattern`` matches; ``None`` where there is none.

    Args:
        folder: a checkout of KaiyangZhou/deep-person-reid; ``None`` for torchreid as it is installed.
        pattern: as ``Path.glob`` takes it, below the package: ``utils/rerank.py``.
    """
    if folder is not None:
        places = [str(folder / "torchreid")]
    else:
        installed = importlib.util.find_spec("torchreid")
        places = (installed.submodule_search_locations or []) if installed else []
    return next((file for place in places for file in sorted(Path(place).glob(pattern))), None)


def load_file(file: Path, name: str) -> ModuleType:
    """``file`` alone as a module called ``name``; for a compiled module this must be the name it was built with."""
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

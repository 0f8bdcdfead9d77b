"""What is installed by pip without a checkout: named spaces and archs and the zoo's weights come along."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
USE = """
import torch
from supernet.files import load_space
from supernet.trained import load_backbone
from supernet.trained.zoo import FOLDER, zoo_entries
assert str(FOLDER).startswith({there!r}), FOLDER
assert load_space("mlr-210m-plus").input_size == (256, 128)
name = zoo_entries()[0].name
print(name, *load_backbone(name)(torch.zeros(2, 3, 128, 64)).shape)
"""


def test_an_installed_package_has_its_spaces_and_its_zoo(tmp_path):
    pytest.importorskip("setuptools")
    tree, lib = tmp_path / "tree", tmp_path / "lib"
    folders = ("reid", "supernet", "search", "evaluation", "configs", "weights")
    for folder in folders:
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("setup.py", "pyproject.toml"):
        shutil.copy(ROOT / file, tree)
    build = [sys.executable, "setup.py", "-q", "build", "--build-lib", str(lib)]
    subprocess.run(build, cwd=tree, check=True, capture_output=True, timeout=120)
    use = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(lib)!r})" + USE.format(there=str(lib))]
    done = subprocess.run(use, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1] == "2"

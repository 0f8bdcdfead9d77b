"""Names of the product's own modules, and of what is in them, that docstrings and comments point to are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("reid", "supernet", "evaluation", "search", "tools")
NAME = re.compile(rf"``((?:{'|'.join(FOLDERS)})(?:\.\w+)+)``")
FILES = (".json", ".safetensors")  # search.json is a file that a run writes


@cache
def bound(module: Path) -> set[str]:
    """What the top level of a module binds, by definition, assignment or import."""
    names = set()
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name) for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
        else:
            names.add(getattr(node, "name", None))
    return names


def is_there(name: str) -> bool:
    place, parts = ROOT, name.split(".")
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    if not parts:
        return True
    if (place / f"{parts[0]}.py").is_file():
        module = place / f"{parts.pop(0)}.py"
    else:
        module = place / "__init__.py"
    return not parts or (module.is_file() and parts[0] in bound(module))


def test_names_in_docstrings_and_comments_are_there():
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in files
        for name in NAME.findall(path.read_text(encoding="utf-8"))
        if not name.endswith(FILES)
    }
    assert len(found) > 50
    assert [each for each in sorted(found) if not is_there(each[1])] == []

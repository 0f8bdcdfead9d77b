"""File formats of archs and spaces: YAML on disk, and the mappings that it holds."""

from supernet.files.arch_forms import arch_from_dict, arch_from_rows, arch_to_dict, mobilenet_v2
from supernet.files.named import (
    ARCHS,
    SPACES,
    NamedArch,
    known_archs,
    load_arch,
    load_space,
    save_arch,
    space_from_dict,
    space_to_dict,
)

__all__ = [
    "ARCHS",
    "SPACES",
    "NamedArch",
    "arch_from_dict",
    "arch_from_rows",
    "arch_to_dict",
    "known_archs",
    "load_arch",
    "load_space",
    "mobilenet_v2",
    "save_arch",
    "space_from_dict",
    "space_to_dict",
]

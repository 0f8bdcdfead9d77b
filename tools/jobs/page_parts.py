"""What ends a run's page: how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from evaluation.report.html import Section
from tools.jobs.provenance import made_by


def ending(settings: Mapping[str, Any]) -> tuple[Section, Section]:
    """The command with its commit, and the settings, plain mappings and values, as YAML."""
    text = yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True).rstrip()
    return Section("Command", code=made_by()), Section("Settings", code=text)

"""Run folders: the facts that they record, and their ownership."""

"""The job of ``tools/export.py``: files, what they cost beside rivals, and their page."""

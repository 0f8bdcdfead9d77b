"""The job of ``tools/export.py``: files, their cost compared with baselines, and their page."""

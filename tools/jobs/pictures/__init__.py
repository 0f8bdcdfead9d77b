"""The job of ``tools/visualize.py``: which images, what is written below them, which files, and their page."""

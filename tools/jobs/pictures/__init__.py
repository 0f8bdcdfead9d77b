"""The job of ``tools/visualize.py``: the images, their captions, the files and their page."""

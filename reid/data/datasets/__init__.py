"""Readers of data sets, one file each; ``registry.py`` opens any of them by its name."""

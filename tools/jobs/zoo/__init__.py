"""The job of ``tools/zoo.py``."""

"""The jobs of ``tools/rank.py`` and ``tools/gain.py``: many stand-alone trainings, and what they prove together."""

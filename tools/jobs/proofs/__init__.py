"""The jobs of ``tools/rank.py`` and ``tools/gain.py``: many stand-alone trainings, and the conclusions from them."""

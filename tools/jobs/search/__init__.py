"""The jobs of ``tools/search.py``: a search, its messages and page, its finalists, its explanation."""

"""The jobs of ``tools/search.py``: a search, its words and its page, its finalists, its explanation."""

"""Losses, one per file, each a pure function of tensors; ``config.py`` says which of them a training sums."""

"""Trained networks, as a user names them: from files, run folders, the zoo, torchreid."""

from supernet.trained.named import SUFFIXES, load_backbone, network_file, runs_in

__all__ = ["SUFFIXES", "load_backbone", "network_file", "runs_in"]

"""The evaluation jobs: networks, data sets, protocols, and the files written."""

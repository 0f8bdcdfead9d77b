"""The jobs of the command line tools: each combines data, network, training or search, and writes a run folder."""

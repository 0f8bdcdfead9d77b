"""What the command line tools do: each job joins data, network, training or search, and writes a run folder."""

"""Training networks and supernets: data, recipe and run folder combined, and the messages of a training."""

"""The divergence guard: it watches a training, rolls it back if it blows up, and records how often."""

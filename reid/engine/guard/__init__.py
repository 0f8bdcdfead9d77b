"""The divergence guard: it watches a training, takes it back where it has blown up, and keeps how often."""

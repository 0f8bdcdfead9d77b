"""The weight-sharing supernet: archs, search spaces, elastic layers, sampling, training, extraction."""

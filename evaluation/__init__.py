"""Evaluation of trained networks: features, scores, comparison tables, pictures, report pages."""

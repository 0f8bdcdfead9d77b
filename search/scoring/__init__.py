"""Scoring of archs: by one supernet, by several, and by a predictor fitted to trainings of other archs."""
